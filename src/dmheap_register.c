/* SPDX-License-Identifier: MIT */
/*
 * Registration: makes the nine functions known to DMOD's loader, so that modules can call them.
 * Compiled inside a DMOD tree only, as an object of its own.
 *
 * The loader finds one record per function in the section .dmod.inputs; the public header makes
 * them where DMOD_ENABLE_REGISTRATION is defined. An application may do the same by itself, and
 * then its records are the ones that count:
 * - ports/dmod refers to one of them, which pulls this object out of libdmheap.a. Where the
 *   application's were seen first it stays out.
 * - Where the application's come later, or all objects are named one by one, these here give
 *   way, because they are weak.
 *
 * Only DMOD's types are included. Its main header would register all of DMOD a second time.
 */
#pragma weak dmheap_init_registration
#pragma weak dmheap_is_initialized_registration
#pragma weak dmheap_register_module_registration
#pragma weak dmheap_unregister_module_registration
#pragma weak dmheap_malloc_registration
#pragma weak dmheap_aligned_alloc_registration
#pragma weak dmheap_realloc_registration
#pragma weak dmheap_free_registration
#pragma weak dmheap_concatenate_free_blocks_registration

#ifndef DMOD_ENABLE_REGISTRATION
#define DMOD_ENABLE_REGISTRATION
#endif
#include "dmheap.h"
