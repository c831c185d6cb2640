// npm proper-lockfile's side: lock and unlock of one file.
//
//     node proper_lockfile_pair.js FOLDER FILE COUNT sync|async
//
// FOLDER is where npm installed it. It keeps no metadata, no token and no history; its
// lease is the mtime of a folder.
'use strict';

const assert = require('assert');
const path = require('path');

const [folder, file, countText, kind] = process.argv.slice(2);
const lockfile = require(path.resolve(folder, 'node_modules', 'proper-lockfile'));
const count = Number(countText);

async function pairs(n) {
	if (kind === 'sync') {
		for (; n > 0; n--) {
			lockfile.lockSync(file);
			lockfile.unlockSync(file);
		}
		return;
	}
	for (; n > 0; n--) {
		await lockfile.lock(file);
		await lockfile.unlock(file);
	}
}

async function main() {
	lockfile.lockSync(file);
	assert.throws(() => lockfile.lockSync(file), { code: 'ELOCKED' }, 'a held lock is refused');
	lockfile.unlockSync(file);
	await pairs(Math.floor(count / 10) + 1);
	const start = process.hrtime.bigint();
	await pairs(count);
	const spent = Number(process.hrtime.bigint() - start);
	assert(!lockfile.checkSync(file), 'a released lock is free');
	console.log(`pair_ns=${(spent / count).toFixed(1)}`);
}

main().catch((error) => {
	console.error(`proper-lockfile: ${error.stack}`);
	process.exit(1);
});
