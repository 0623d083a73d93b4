#include "check.h"

long checks_passed, checks_failed;

int main(void) {
    test_checksum();
    test_topk();
    test_f32();
    test_codes();
    test_elements();
    test_flat();
    test_graph();
    test_pool();
    test_ivf();
    test_pq();
    test_rabitq();
    test_disk();
    test_dispatch();
    printf("%ld passed, %ld failed\n", checks_passed, checks_failed);
    return checks_failed != 0;
}
