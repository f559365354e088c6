/* SPDX-License-Identifier: MIT */
/*
 * Registration: makes the nine functions known to DMOD's loader, so that modules can call them; with
 * DMHEAP_REGISTER_CTX those of dmheap_ctx.h as well.
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
#ifdef DMHEAP_REGISTER_CTX
#pragma weak dmheap_ctx_init_registration
#pragma weak dmheap_ctx_deinit_registration
#pragma weak dmheap_ctx_is_initialized_registration
#pragma weak dmheap_ctx_add_default_registration
#pragma weak dmheap_ctx_remove_default_registration
#pragma weak dmheap_ctx_get_default_registration
#pragma weak dmheap_ctx_set_name_registration
#pragma weak dmheap_ctx_get_name_registration
#pragma weak dmheap_ctx_find_registration
#pragma weak dmheap_ctx_register_module_registration
#pragma weak dmheap_ctx_unregister_module_registration
#pragma weak dmheap_ctx_malloc_registration
#pragma weak dmheap_ctx_aligned_alloc_registration
#pragma weak dmheap_ctx_realloc_registration
#pragma weak dmheap_ctx_free_registration
#pragma weak dmheap_ctx_concatenate_free_blocks_registration
#pragma weak dmheap_ctx_open_module_registration
#pragma weak dmheap_ctx_malloc_for_registration
#pragma weak dmheap_ctx_aligned_alloc_for_registration
#pragma weak dmheap_ctx_calloc_registration
#pragma weak dmheap_ctx_aligned_realloc_registration
#pragma weak dmheap_ctx_usable_size_registration
#pragma weak dmheap_ctx_owner_of_registration
#pragma weak dmheap_ctx_retag_registration
#pragma weak dmheap_ctx_rename_module_registration
#pragma weak dmheap_ctx_walk_registration
#pragma weak dmheap_ctx_get_stats_registration
#pragma weak dmheap_ctx_get_module_stats_registration
#pragma weak dmheap_ctx_walk_modules_registration
#pragma weak dmheap_ctx_report_registration
#pragma weak dmheap_ctx_check_registration
#pragma weak dmheap_ctx_check_image_registration
#pragma weak dmheap_ctx_set_leak_policy_registration
#pragma weak dmheap_ctx_set_death_hook_registration
#pragma weak dmheap_ctx_set_failure_hook_registration
#include "dmheap_ctx.h"
#else
#include "dmheap.h"
#endif
