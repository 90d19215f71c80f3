/*
 * The checkpoint beside SMF files.  A slot is, big-endian: "SMFCKPT1", sequence number (8), length
 * of the file (8), id of the last row of source 0 (8), length of the name (2), the name, id of the
 * last row of source 1 (8), source of the last record (1), identities of the two outboxes (8 each),
 * zeros, and CRC-32C of all before it in the last four bytes.  What came later was zeros before,
 * which is the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smf/smf.h"

#define SLOT  512 /* a sector: written as a whole where disks can */
#define SLOTS 2
#define MAGIC "SMFCKPT1"

static uint32_t crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len-- > 0) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0x82f63b78 & (0 - (crc & 1)));
	}
	return ~crc;
}

static void make_slot(const struct smf_checkpoint *cp, uint64_t sequence, uint8_t slot[SLOT])
{
	struct cs_writer w = cs_writer_of(slot, SLOT);
	size_t len = strlen(cp->file);

	cs_put_bytes(&w, MAGIC, 8);
	cs_put_u64(&w, sequence);
	cs_put_u64(&w, cp->length);
	cs_put_u64(&w, cp->last_id[0]);
	cs_put_u16(&w, (uint16_t)len);
	cs_put_bytes(&w, cp->file, len);
	cs_put_u64(&w, cp->last_id[1]);
	cs_put_u8(&w, (uint8_t)cp->source);
	for (unsigned i = 0; i < SMF_SOURCES; i++)
		cs_put_u64(&w, cp->identity[i]);
	cs_put_zeros(&w, SLOT - 4 - w.len);
	cs_put_u32(&w, crc32c(slot, SLOT - 4));
}

static bool read_slot(const uint8_t slot[SLOT], struct smf_checkpoint *cp, uint64_t *sequence)
{
	struct cs_reader r = cs_reader_of(slot, SLOT - 4);
	struct cs_reader end = cs_reader_of(slot + SLOT - 4, 4);
	uint8_t magic[8];
	uint32_t crc;
	uint16_t len;
	uint8_t source;

	*cp = (struct smf_checkpoint){.length = 0};
	if (!(cs_get_u32(&end, &crc) && crc == crc32c(slot, SLOT - 4) &&
	      cs_get_copy(&r, magic, 8) && memcmp(magic, MAGIC, 8) == 0 &&
	      cs_get_u64(&r, sequence) && cs_get_u64(&r, &cp->length) &&
	      cs_get_u64(&r, &cp->last_id[0]) && cs_get_u16(&r, &len) && len < sizeof(cp->file) &&
	      cs_get_copy(&r, cp->file, len) && strlen(cp->file) == len && len > 0 &&
	      cs_get_u64(&r, &cp->last_id[1]) && cs_get_u8(&r, &source) && source < SMF_SOURCES &&
	      cs_get_u64(&r, &cp->identity[0]) && cs_get_u64(&r, &cp->identity[1])))
		return false;
	cp->source = source;
	return true;
}

/* The newer of the good slots; -1: none is good. */
static int read_slots(int fd, struct smf_checkpoint *cp, uint64_t *sequence)
{
	uint8_t slots[SLOTS * SLOT];
	ssize_t n = pread(fd, slots, sizeof(slots), 0);
	int best = -1;

	for (int i = 0; i < SLOTS && n >= (i + 1) * SLOT; i++) {
		struct smf_checkpoint one;
		uint64_t number;

		if (read_slot(slots + i * SLOT, &one, &number) &&
		    (best < 0 || number > *sequence)) {
			*cp = one;
			*sequence = number;
			best = i;
		}
	}
	return best;
}

int smf_checkpoint_read(int dirfd, struct smf_checkpoint *cp, struct cs_err *err)
{
	int fd = openat(dirfd, SMF_CHECKPOINT, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct smf_checkpoint found;
	uint64_t sequence;
	int slot;

	if (fd < 0 && errno == ENOENT)
		return cs_fail(err, CS_ENOTFOUND, "there is no " SMF_CHECKPOINT);
	if (fd < 0)
		return cs_fail_errno(err, "cannot open " SMF_CHECKPOINT);
	slot = read_slots(fd, &found, &sequence);
	close(fd);
	if (slot < 0)
		return cs_fail(err, CS_EPARSE, SMF_CHECKPOINT " is damaged");
	*cp = found;
	return 0;
}

/* A file that is new is in the directory only when that is on the disk, too. */
static int sync_file(int dirfd, int fd, bool is_new, struct cs_err *err)
{
	if (fdatasync(fd) < 0)
		return cs_fail_errno(err, "cannot sync " SMF_CHECKPOINT);
	if (is_new && fsync(dirfd) < 0)
		return cs_fail_errno(err, "cannot sync the directory of " SMF_CHECKPOINT);
	return 0;
}

int smf_checkpoint_write(int dirfd, const struct smf_checkpoint *cp, struct cs_err *err)
{
	struct smf_checkpoint old;
	uint64_t sequence = 0;
	uint8_t bytes[SLOT];
	struct stat st;
	int fd, slot, rc;

	if (!cp->file[0] || !memchr(cp->file, '\0', sizeof(cp->file)) || strchr(cp->file, '/'))
		return cs_fail(err, CS_EINVAL, "a checkpoint needs the name of a file");
	fd = openat(dirfd, SMF_CHECKPOINT, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = cs_fail_errno(err, "cannot open " SMF_CHECKPOINT);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	slot = read_slots(fd, &old, &sequence);
	make_slot(cp, sequence + 1, bytes);
	if (pwrite(fd, bytes, SLOT, slot == 0 ? SLOT : 0) != SLOT)
		rc = cs_fail_errno(err, "cannot write " SMF_CHECKPOINT);
	else
		rc = sync_file(dirfd, fd, st.st_size == 0, err);
	close(fd);
	return rc;
}
