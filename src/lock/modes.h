/*
 * The modes of a hold, and which of them go together:
 *
 *				is	ix	s	x
 *	is  intent-shared	yes	yes	yes	-
 *	ix  intent-exclusive	yes	yes	-	-
 *	s   shared		yes	-	yes	-
 *	x   exclusive		-	-	-	-
 *
 * An intention is a hold of something below the lock (multi-granularity locking,
 * as databases have it): who holds `repo/docs` has intentions on `repo`, which
 * keep out who wants all of that, and not each other.
 *
 * Holds of one group never conflict, and take one place of a limit together. An
 * intention takes none. Pure.
 */
#ifndef HF_MODES_H
#define HF_MODES_H

#include "record.h"

bool hf_modes_conflict(hf_mode a, hf_mode b);
/* Does `a` keep out everything that `b` does? */
bool hf_mode_covers(hf_mode a, hf_mode b);
bool hf_mode_is_intent(hf_mode mode);
/* What a hold in this mode needs of the names above it. */
hf_mode hf_mode_above(hf_mode mode);
/* One of the four? */
bool hf_mode_is_known(hf_mode mode);

/* As the record has it: "x", "s", "ix", "is". */
const char *hf_mode_text(hf_mode mode);
bool hf_mode_read(const char *text, hf_mode *out);

bool hf_same_group(const hf_grant *a, const hf_grant *b);
/* How many groups hold the lock itself, beside such as have intentions alone. */
size_t hf_place_count(const hf_record *r);
/* Would the rules have let all of these in together, whatever their limits? */
bool hf_holders_go_together(const hf_record *r);
/* And those who have an offer, beside them and each other? They wait for nobody. */
bool hf_offers_go_together(const hf_record *r);

#endif
