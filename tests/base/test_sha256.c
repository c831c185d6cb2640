/* SHA-256 against the vectors of FIPS 180-4. */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void check(const char *text, size_t times, const char *want)
{
	hf_sha256 hash;
	char hex[65];

	hf_sha256_begin(&hash);
	for (; times > 0; times--)
		hf_sha256_add(&hash, text, strlen(text));
	hf_sha256_end(&hash, hex);
	assert_string_equal(hex, want);
}

static void sha256__gives_the_published_vectors(void **state)
{
	(void)state;
	check("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	check("a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256__gives_the_published_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
