/* One slot file "x" in the scratch folder. */
#ifndef SLOT_HELPER_H
#define SLOT_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "scratch.h"
#include "store/slotfile_internal.h"

#define PATIENCE_MS 150

extern const hf_slotfile_options creating;
extern const hf_slotfile_options looking;

hf_slotfile *new_file(const hf_slotfile_options *options);
/* In a child, where nothing may be asserted: opened and locked; NULL if it cannot be. */
hf_slotfile *locked_file(void);
/* Write a text; must succeed. */
void put(const char *text);
/* Read it, looking. */
hf_status get(hf_slot_content *content);
/* What is there, "(nothing)" for nothing. */
void expect_text(const char *text);

#endif
