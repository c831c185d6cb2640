/*
 * upgrader NAME: shares it, says so, and upgrades that once a line has come in on
 * standard input. Exits as the command does; holds it until standard input ends.
 */
#include <holdfast/holdfast.h>

#include <stdio.h>
#include <stdlib.h>

static int upgrade(hf_manager *m, const char *name)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *lease;
	hf_error error;
	hf_status st;

	o.mode = HF_SHARED;
	st = hf_acquire(m, name, &o, &lease, &error);
	if (!st) {
		puts("shared");
		fflush(stdout);
		(void)getchar();
		st = hf_convert(lease, HF_EXCLUSIVE, NULL, &error);
		puts(st ? error.text : "exclusive");
		fflush(stdout);
		while (!st && getchar() != EOF)
			;
		hf_release(lease, NULL);
	}
	return hf_status_exit_code(st);
}

int main(int argc, char **argv)
{
	hf_manager *m;
	hf_error error;
	int code;

	if (argc != 2 || hf_open(getenv("HOLDFAST_STORE"), NULL, &m, &error))
		return 99;
	code = upgrade(m, argv[1]);
	hf_close(m);
	return code;
}
