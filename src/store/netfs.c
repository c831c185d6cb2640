/* File systems whose locks and times are shared with other kernels. */
#include "slotfile.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/vfs.h>

/* By statfs(2) and the kernel's sources; not all are in <linux/magic.h>. */
static const uint32_t shared_types[] = {
	0x6969, /* NFS */
	0x517b, /* SMB */
	0xff534d42, /* CIFS */
	0xfe534d42, /* SMB2 */
	0x01021997, /* 9p */
	0x65735546, /* FUSE: sshfs, glusterfs, virtiofs; nobody can tell */
	0x5346414f, /* AFS */
	0x6b414653, /* kAFS */
	0x73757245, /* Coda */
	0x00c36400, /* Ceph */
	0x0bd00bd0, /* Lustre */
	0x01161970, /* GFS2 */
	0x7461636f, /* OCFS2 */
	0x47504653, /* GPFS */
	0x19830326, /* BeeGFS */
	0x20030528, /* OrangeFS */
	0x0000564c, /* NCP */
	0x786f4256, /* VirtualBox */
	0xbacbacbc, /* VMware */
	0x7c7c6673, /* Parallels */
	0x00c0ffee, /* hostfs */
	0xaad7aaea, /* PanFS */
	0xbeefdead, /* StorNext */
};

bool hf_is_network_fs(const char *path)
{
	struct statfs fs;
	size_t i;
	int r;

	do {
		r = statfs(path, &fs);
	} while (r && errno == EINTR);
	if (r)
		return true; /* not known: promise less */
	for (i = 0; i < HF_ARRAY_LEN(shared_types); i++)
		if ((uint32_t)fs.f_type == shared_types[i])
			return true;
	return false;
}
