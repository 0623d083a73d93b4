// What CORDWOOD_ISA names is what is in use; `run.sh` runs this under each of its values.

#include "check.h"
#include "cordwood_checksum.h"
#include "cordwood_kernels.h"

#include <stdlib.h>
#include <string.h>

static bool is_supported(const char *isa) {
    for (size_t index = 0; index < cordwood_f32_variant_count(); index++) {
        if (strcmp(cordwood_f32_variant(index)->isa, isa) == 0) {
            return cordwood_f32_variant(index)->supported();
        }
    }
    return false;
}

static bool is_known(const char *isa) {
    return !strcmp(isa, "scalar") || !strcmp(isa, "avx2") || !strcmp(isa, "avx512") ||
           !strcmp(isa, "neon") || !strcmp(isa, "neon-dotprod");
}

void test_dispatch(void) {
    const char *requested = getenv("CORDWOOD_ISA");
    const char *isa = cordwood_isa();
    cordwood_isa_status status = cordwood_isa_get_status();
    printf("CORDWOOD_ISA %s: f32 %s, crc32c %s\n", requested ? requested : "not set", isa,
           cordwood_crc32c_path());
    const cordwood_f32_kernels *best = NULL;
    for (size_t index = 0; index < cordwood_f32_variant_count(); index++) {
        if (cordwood_f32_variant(index)->supported()) {
            best = cordwood_f32_variant(index);
        }
    }
    if (requested && is_supported(requested)) {
        CHECK(strcmp(isa, requested) == 0, "%s", isa);
        CHECK(status == CORDWOOD_ISA_OK, "status %d", status);
    } else {
        CHECK(strcmp(isa, best->isa) == 0, "%s", isa);
        CHECK(status == (!requested            ? CORDWOOD_ISA_OK
                         : is_known(requested) ? CORDWOOD_ISA_UNSUPPORTED
                                               : CORDWOOD_ISA_UNKNOWN),
              "status %d", status);
    }
    if (requested && strcmp(requested, "scalar") == 0) {
        CHECK(strcmp(cordwood_crc32c_path(), "scalar") == 0, "%s", cordwood_crc32c_path());
    }
    if (requested && strcmp(requested, "avx2") == 0 && is_supported("avx2")) {
        CHECK(strcmp(cordwood_crc32c_path(), "pclmul") == 0, "%s", cordwood_crc32c_path());
    }
}
