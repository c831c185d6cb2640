/* Doorbells: one for an acquisition, one for many. */
#include "lock/bell.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void bell__is_rung_by_its_id(void **state)
{
	char id[HF_ID_LEN + 1];
	char other[HF_ID_LEN + 1];
	char heard[HF_ID_LEN + 1];
	int bell;

	(void)state;
	hf_new_id(id);
	hf_new_id(other);
	bell = hf_bell_new(id);
	assert_true(bell >= 0);
	hf_bell_ring(other);
	assert_false(hf_bell_next(bell, heard));
	hf_bell_ring(id);
	assert_true(hf_bell_next(bell, heard));
	assert_string_equal(heard, id);
	hf_bell_ring(id);
	hf_bell_quiet(bell);
	assert_false(hf_bell_next(bell, heard));
	close(bell);
}

static void bell__that_is_shared_tells_whose_ring_it_is(void **state)
{
	char like[HF_ID_LEN + 1];
	char ids[3][HF_ID_LEN + 1];
	char heard[HF_ID_LEN + 1];
	int bell;
	int i;

	(void)state;
	hf_new_id(like);
	bell = hf_bell_new_shared(like);
	assert_true(bell >= 0);
	for (i = 0; i < 3; i++) {
		hf_bell_new_id(like, ids[i]);
		assert_int_equal(strlen(ids[i]), HF_ID_LEN);
		assert_true(!i || strcmp(ids[i], ids[i - 1]) != 0);
		hf_bell_ring(ids[i]);
	}
	for (i = 0; i < 3; i++) {
		assert_true(hf_bell_next(bell, heard));
		assert_string_equal(heard, ids[i]);
	}
	assert_false(hf_bell_next(bell, heard));
	close(bell);
}

/* What it cannot take is lost: who hears that many must look everywhere. */
static void bell__that_is_full_has_as_many_as_its_room(void **state)
{
	char like[HF_ID_LEN + 1];
	char heard[HF_ID_LEN + 1];
	size_t room = hf_bell_room();
	size_t kept = 0;
	size_t i;
	int bell;

	(void)state;
	hf_new_id(like);
	bell = hf_bell_new_shared(like);
	assert_true(bell >= 0);
	for (i = 0; i < room + 100; i++) {
		char id[HF_ID_LEN + 1];

		hf_bell_new_id(like, id);
		hf_bell_ring(id);
	}
	while (hf_bell_next(bell, heard))
		kept++;
	assert_true(kept >= room);
	assert_true(kept < room + 100);
	close(bell);
}

static void bell__that_is_rung_by_a_stranger_stays_whole(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char like[HF_ID_LEN + 1];
	char heard[HF_ID_LEN + 1];
	char junk[4096];
	socklen_t len;
	int bell;
	int fd;
	int n;

	(void)state;
	hf_new_id(like);
	bell = hf_bell_new_shared(like);
	n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "holdfast-bell/%.*s",
		HF_BELL_PREFIX_LEN, like);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memset(junk, 0xff, sizeof(junk));
	assert_true(sendto(fd, junk, sizeof(junk), 0, (struct sockaddr *)&address, len) > 0);
	assert_true(sendto(fd, junk, 0, 0, (struct sockaddr *)&address, len) == 0);
	assert_true(hf_bell_next(bell, heard));
	assert_int_equal(strlen(heard), HF_ID_LEN);
	assert_true(hf_bell_next(bell, heard));
	assert_string_equal(heard, "");
	assert_false(hf_bell_next(bell, heard));
	close(fd);
	close(bell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bell__is_rung_by_its_id),
		cmocka_unit_test(bell__that_is_shared_tells_whose_ring_it_is),
		cmocka_unit_test(bell__that_is_full_has_as_many_as_its_room),
		cmocka_unit_test(bell__that_is_rung_by_a_stranger_stays_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
