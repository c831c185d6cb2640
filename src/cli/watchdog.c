/* The wrapper's side of the watchdog. */
#include "watchdog_page.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static hf_status fail(hf_error *error, const char *what)
{
	return hf_fail_errno(
		error, HF_SYSTEM, "run", errno, "cannot start the command: %s", what);
}

hf_status watchdog_start(watchdog *dog, const watchdog_setup *setup, hf_error *error)
{
	int channel[2];

	if (!tree_init(&dog->tree, true))
		return fail(error, "its processes could not be watched, as /proc is not there");
	dog->page = mmap(NULL, sizeof(*dog->page), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (dog->page == MAP_FAILED)
		return fail(error, "no memory to share with its watchdog");
	dog->page->deadline_ms = setup->deadline_ms;
	/* Packets: an order is whole or not there. Its end tells of death. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel)) {
		hf_status st = fail(error, "no channel to its watchdog");

		munmap(dog->page, sizeof(*dog->page));
		return st;
	}
	/* Should the watchdog be killed, what it leaves comes to us. */
	prctl(PR_SET_CHILD_SUBREAPER, 1L);
	dog->pid = _Fork();
	if (dog->pid == 0)
		watchdog_live(setup, dog, channel[1]);
	close(channel[1]);
	dog->channel = channel[0];
	if (dog->pid > 0)
		return HF_OK;
	(void)fail(error, "no process for its watchdog");
	close(channel[0]);
	munmap(dog->page, sizeof(*dog->page));
	return HF_SYSTEM;
}

void watchdog_set_deadline(watchdog *dog, int64_t deadline_ms)
{
	dog->page->deadline_ms = deadline_ms;
}

void watchdog_order(watchdog *dog, watchdog_order_kind kind, int signal)
{
	watchdog_message m = {(unsigned char)kind, (unsigned char)signal, dog->stops};

	(void)!send(dog->channel, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

watchdog_event_kind watchdog_next_event(watchdog *dog, int *signal_out)
{
	watchdog_message m;
	ssize_t n = recv(dog->channel, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return WATCHDOG_NOTHING;
	if (n != (ssize_t)sizeof(m))
		return WATCHDOG_OVER;
	*signal_out = m.signal;
	dog->stops = m.stop;
	return (watchdog_event_kind)m.kind;
}

pid_t watchdog_stop_begins(watchdog *dog)
{
	pid_t group;

	dog->page->wrapper_stops = true;
	group = dog->page->stopped_group;
	if (!group)
		dog->page->wrapper_stops = false;
	return group;
}

void watchdog_stop_ends(watchdog *dog)
{
	dog->page->wrapper_stops = false;
}

void watchdog_wake(watchdog *dog)
{
	siginfo_t info = {.si_pid = 0};

	/* WNOWAIT and no WEXITED: its end is for watchdog_join(). */
	if (!waitid(P_PID, (id_t)dog->pid, &info, WSTOPPED | WNOHANG) &&
		info.si_pid == dog->pid)
		kill(dog->pid, SIGCONT);
}

void watchdog_join(watchdog *dog, watchdog_outcome *outcome)
{
	if (dog->page->finished) {
		*outcome = dog->page->outcome;
		return;
	}
	/* It was killed. Once it is gone, its orphans are our children. */
	kill(dog->pid, SIGKILL);
	watchdog_bury(dog);
	*outcome = dog->page->outcome;
	if (dog->page->finished)
		return;
	outcome->why = WATCHDOG_DIED;
	if (!tree_end(&dog->tree, hf_boot_ms() + WATCHDOG_GIVE_UP_MS))
		outcome->survivor = tree_survivor(&dog->tree);
}

void watchdog_bury(watchdog *dog)
{
	while (dog->pid > 0 && waitpid(dog->pid, NULL, 0) < 0 && errno == EINTR)
		;
	dog->pid = 0;
}
