/// Whether an ARM processor has dot products of bytes (FEAT_DotProd), an extension of version 8.2
/// that most servers since then have.
#pragma once

#if defined(__aarch64__)
#include <stdbool.h>
#include <sys/auxv.h>

static inline bool has_dotprod(void) {
    const unsigned long dot_products = 1 << 20; // Of AT_HWCAP on arm64.
    return (getauxval(AT_HWCAP) & dot_products) != 0;
}

/// Compiles what follows, up to DOTPROD_END, for such processors.
#if defined(__clang__)
#define DOTPROD_BEGIN                                                                              \
    _Pragma("clang attribute push(__attribute__((target(\"dotprod\"))), apply_to = function)")
#define DOTPROD_END _Pragma("clang attribute pop")
#else
#define DOTPROD_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"arch=armv8.2-a+dotprod\")")
#define DOTPROD_END _Pragma("GCC pop_options")
#endif
#endif
