#pragma once
#include <cblas.h>

/// Stops the threads that the pthread build starts when it is loaded. Absent from the serial build,
/// where its address is null.
extern int blas_thread_shutdown_(void) __attribute__((weak));

/// Makes OpenBLAS work on its callers' threads alone, and ends those that it started. See
/// docs/decisions/0003-openblas-threads.md. Not while another thread is inside OpenBLAS.
static inline void cordwood_openblas_use_callers_threads(void) {
    openblas_set_num_threads(1);
    if (blas_thread_shutdown_) {
        blas_thread_shutdown_();
    }
}
