/* An attempt's answer in words. */
#include "attempt.h"

void hf_attempt_explain(hf_attempt *a, hf_status status)
{
	const hf_grant *g =
		a->verdict.blocker >= 0 ? &a->record.grants[a->verdict.blocker] : NULL;
	const char *name = a->setup.name;
	const char *op = a->setup.request.ask == HF_ASK_CONVERT ? "convert" : "acquire";
	const char *who = g ? (g->owner[0] ? g->owner : "another") : "";

	switch (status) {
	case HF_HELD:
	case HF_TIMED_OUT:
		if (!g && a->record.closed_ms)
			hf_fail(&a->error, status, op, 0,
				"lock '%s' is closed for a while: its last lease ended without "
				"a release and had a lock delay",
				name);
		else if (!g)
			hf_fail(&a->error, status, op, 0, "lock '%s' is held", name);
		else
			hf_fail(&a->error, status, op, 0,
				"lock '%s' is held by %s%s%s, pid %lld (token %llu)", name, who,
				g->process.host[0] ? " on " : "", g->process.host,
				(long long)g->process.pid, (unsigned long long)g->token);
		break;
	case HF_NOT_OWNER:
		if (g)
			hf_fail(&a->error, status, "release", 0,
				"lock '%s' is owned by %s, not %s", name, who,
				a->setup.request.who.owner ? a->setup.request.who.owner
				: a->setup.request.who.id  ? a->setup.request.who.id
							   : "the given fingerprint");
		else
			hf_fail(&a->error, status, "release", 0, "lock '%s' is not held", name);
		break;
	case HF_DEADLOCK:
		hf_fail(&a->error, status, op, 0,
			"lock '%s': deadlock, nobody would ever get on: %s", name,
			a->deadlock.words.len ? a->deadlock.words.data : "");
		break;
	case HF_LOST:
		hf_fail(&a->error, status, "lease", 0, "the lease of lock '%s' had ended: %s",
			name,
			a->verdict.reason[0] ? a->verdict.reason
					     : "it expired or was taken away");
		break;
	case HF_INVALID:
		hf_fail(&a->error, status, op, 0, "lock '%s': %s", name, a->verdict.reason);
		break;
	case HF_UNKNOWN:
		hf_fail(&a->error, status, "swap", 0,
			"lock '%s': a request may or may not have reached the store, and it "
			"could not be found out; look with 'holdfast status'",
			name);
		break;
	default:
		break;
	}
}
