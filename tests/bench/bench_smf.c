/*
 * How fast SMF records are read and exported: a file as a gateway writes it whose tunnels are
 * refreshed (77, 75, 76 and 78 of each, now and then an IKE tunnel), in memory, through the reader,
 * the decoder and each form of export, which is thrown away.  CPU time, so that others count less.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "smf/export.h"
#include "smf/smf.h"

#define FILE_BYTES (100u << 20)
#define ROUNDS     5
#define START      1768472430u

struct cpu {
	struct timespec at;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_smf: %s\n", what);
	exit(1);
}

static double seconds_since(const struct cpu *since)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)(now.tv_sec - since->at.tv_sec) +
	       (double)(now.tv_nsec - since->at.tv_nsec) / 1e9;
}

/* ---- the file ---- */

static void put_ike(struct smf_builder *b, unsigned i, const struct cs_addr *local,
		    const struct cs_addr *remote)
{
	char id[16];

	snprintf(id, sizeof(id), "K%u", i % 250);
	smf_put_text(b, SMF_IKE_TUN_ID, id);
	smf_put_text(b, SMF_IKE_TUN_KEY_EXCH_RULE, "BranchA~1");
	smf_put_text(b, SMF_IKE_TUN_KEY_EXCH_ACTION, "Gold~IKE");
	smf_put_flag(b, SMF_IKE_TUN_FLAGS, 5);
	smf_put_u64(b, SMF_IKE_TUN_MAJOR_VER, 1);
	smf_put_u64(b, SMF_IKE_TUN_ROLE, 1);
	smf_put_u64(b, SMF_IKE_TUN_STATE, 4);
	smf_put_u64(b, SMF_IKE_TUN_EXCH_MODE, 2);
	smf_put_u64(b, SMF_IKE_TUN_GENERATION, i / 250 + 1);
	smf_put_addr(b, SMF_IKE_TUN_LCL_ENDPT, local);
	smf_put_addr(b, SMF_IKE_TUN_RMT_ENDPT, remote);
	smf_put_u64(b, SMF_IKE_TUN_RMT_UDP_PORT, 500);
	smf_put_u64(b, SMF_IKE_TUN_AUTH_ALG, 7);
	smf_put_u64(b, SMF_IKE_TUN_ENCRYPT_ALG, 12);
	smf_put_u64(b, SMF_IKE_TUN_ENCRYPT_KEY_LEN, 256);
	smf_put_u64(b, SMF_IKE_TUN_DH_GROUP, 14);
	smf_put_u64(b, SMF_IKE_TUN_I_COOKIE, 0x9e3779b97f4a7c15 * (i + 1));
	smf_put_u64(b, SMF_IKE_TUN_R_COOKIE, 0xc2b2ae3d27d4eb4f * (i + 1));
	smf_put_u64(b, SMF_IKE_TUN_LIFETIME, 28800);
	smf_put_u64(b, SMF_IKE_TUN_START_TIME, START + i);
	smf_put_u64(b, SMF_IKE_TUN_LIFE_EXPIRES, START + i + 28800);
	smf_put_text(b, SMF_LCL_ID, "gw1.example.com");
	smf_put_text(b, SMF_RMT_ID, "gw2.example.net");
}

static void put_dynamic(struct smf_builder *b, unsigned i, const struct cs_addr *local,
			const struct cs_addr *remote)
{
	char id[16];

	snprintf(id, sizeof(id), "Y%u", i % 5000);
	smf_put_text(b, SMF_IP_TUN_ID, id);
	smf_put_text(b, SMF_IP_TUN_VPN_ACTION, "Gold~VPN");
	smf_put_u64(b, SMF_IP_TUN_TYPE, 2);
	smf_put_u64(b, SMF_IP_TUN_STATE, 4);
	smf_put_addr(b, SMF_IP_TUN_LCL_ENDPT, local);
	smf_put_addr(b, SMF_IP_TUN_RMT_ENDPT, remote);
	smf_put_u64(b, SMF_IP_TUN_ENCAP_MODE, 1);
	smf_put_u64(b, SMF_IP_TUN_AUTH_PROTO, 50);
	smf_put_u64(b, SMF_IP_TUN_AUTH_ALG, 7);
	smf_put_u64(b, SMF_IP_TUN_ENCRYPT_ALG, 12);
	smf_put_u64(b, SMF_IP_TUN_INB_AUTH_SPI, 0xc0000000 + i);
	smf_put_u64(b, SMF_IP_TUN_OUTB_AUTH_SPI, 0xb0000000 + i);
	smf_put_u64(b, SMF_IP_TUN_INB_ENCRYPT_SPI, 0xc0000000 + i);
	smf_put_u64(b, SMF_IP_TUN_OUTB_ENCRYPT_SPI, 0xb0000000 + i);
	smf_put_u64(b, SMF_IP_TUN_START_TIME, START + i);
	smf_put_u64(b, SMF_IP_TUN_ENCRYPT_KEY_LEN, 256);
	smf_put_flag(b, SMF_IP_DYN_FLAGS, 6);
	smf_put_u64(b, SMF_IP_DYN_ACT_METHOD, 3);
	smf_put_u64(b, SMF_IP_DYN_GENERATION, i / 5000 + 1);
	smf_put_u64(b, SMF_IP_DYN_ICMP_TYPE, 255);
	smf_put_u64(b, SMF_IP_DYN_ICMP_CODE, 255);
	smf_put_text(b, SMF_IP_DYN_IKE_TUN_ID, "K12");
	smf_put_addr(b, SMF_IP_DYN_SRC_ADDR, local);
	smf_put_addr(b, SMF_IP_DYN_SRC_ADDR_END, local);
	smf_put_addr(b, SMF_IP_DYN_DST_ADDR, remote);
	smf_put_addr(b, SMF_IP_DYN_DST_ADDR_END, remote);
	smf_put_u64(b, SMF_IP_DYN_SRC_PORT_END, 65535);
	smf_put_u64(b, SMF_IP_DYN_DST_PORT_END, 65535);
	smf_put_u64(b, SMF_IP_DYN_LIFETIME, 14400);
	smf_put_u64(b, SMF_IP_DYN_LIFE_REFRESH, START + i + 12000);
	smf_put_u64(b, SMF_IP_DYN_LIFE_EXPIRES, START + i + 14400);
}

/* What the subtype has besides. */
static void put_rest(struct smf_builder *b, unsigned i)
{
	int64_t us = ((int64_t)START + i) * 1000000 + 123456;

	switch (b->layout->subtype) {
	case 75:
	case 76:
		smf_put_u64(b, SMF_IP_DYN_IKE_EXT_STATE, 8);
		smf_put_u64(b, SMF_IP_DYN_IKE_LCL_CLI_TYPE, 1);
		smf_put_u64(b, SMF_IP_DYN_IKE_RMT_CLI_TYPE, 1);
		smf_put_u64(b, SMF_IP_DYN_IKE_MSG_ID, 0x10000000 + i);
		smf_put_text(b, SMF_LCL_CLIENT_ID, "192.0.2.1");
		smf_put_text(b, SMF_RMT_CLIENT_ID, "198.51.100.7");
		break;
	case 77:
		smf_put_u64(b, SMF_IP_DYN_ADD_STCK, smf_tod_of(us));
		break;
	case 78:
		smf_put_u64(b, SMF_IP_DYN_STK_INB_PKTS, i * 1234u);
		smf_put_u64(b, SMF_IP_DYN_STK_OUTB_PKTS, i * 2345u);
		smf_put_u64(b, SMF_IP_DYN_STK_INB_BYTES, i * UINT64_C(1234567));
		smf_put_u64(b, SMF_IP_DYN_STK_OUTB_BYTES, i * UINT64_C(2345678));
		smf_put_u64(b, SMF_IP_DYN_STK_END_REASON, 8);
		smf_put_u64(b, SMF_IP_DYN_STK_STCK, smf_tod_of(us));
		break;
	default:
		break;
	}
}

static bool put_record(struct cs_writer *w, unsigned i)
{
	static const uint8_t subtypes[] = {77, 75, 76, 78, 77, 75, 76, 78, 73, 74};
	struct cs_addr local = {.family = AF_INET, .b = {192, 0, 2, 1}};
	struct cs_addr remote = {.family = AF_INET, .b = {198, 51, 100, (uint8_t)i}};
	struct smf_builder b;

	smf_build(&b, subtypes[i % sizeof(subtypes)]);
	smf_put_time(&b, ((int64_t)START + i) * 1000000);
	smf_put_text(&b, SMF_HDSID, "LNX1");
	smf_put_text(&b, SMF_TI_SYS_NAME, "LNX1");
	smf_put_text(&b, SMF_TI_STACK, "TCPIP");
	smf_put_text(&b, SMF_TI_RELEASE_ID, "CSI 0.1");
	smf_put_text(&b, SMF_TI_AS_NAME, "IKED");
	smf_put_text(&b, SMF_TI_USER_ID, "IKED");
	if (b.layout->subtype < 75)
		put_ike(&b, i, &local, &remote);
	else
		put_dynamic(&b, i, &local, &remote);
	put_rest(&b, i);
	return smf_finish(&b, w, NULL) == 0;
}

/* The records in memory; how many. */
static unsigned make_file(int fd)
{
	uint8_t *bytes = malloc(FILE_BYTES);
	struct cs_writer w = cs_writer_of(bytes, FILE_BYTES);
	struct cpu start;
	unsigned n = 0;
	double took;

	if (!bytes)
		die("out of memory");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start.at);
	while (put_record(&w, n))
		n++;
	took = seconds_since(&start);
	if (write(fd, bytes, w.len) != (ssize_t)w.len)
		die("cannot write the file");
	free(bytes);
	printf("%u records of %zu bytes on average, made at %.0f a second\n", n, w.len / n,
	       n / took);
	return n;
}

/* ---- reading it ---- */

static double read_file(int fd, struct smf_export *x, unsigned records)
{
	struct smf_input *in;
	struct smf_record r;
	struct smf_raw raw;
	struct cpu start;
	double took;
	unsigned n = 0;

	if (lseek(fd, 0, SEEK_SET) < 0 || smf_input_open(fd, &in, NULL) < 0)
		die("cannot read the file");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start.at);
	while (smf_input_next(in, &raw, NULL) > 0) {
		if (smf_decode(raw.p, raw.len, &r, NULL) < 0 ||
		    (x && smf_export_record(x, &r, NULL) < 0))
			die("a record is wrong");
		n++;
	}
	took = seconds_since(&start);
	smf_input_close(in);
	if (n != records)
		die("records are missing");
	return took;
}

/* The best of some rounds. */
static void measure(int fd, int null, const char *name, int form, unsigned records)
{
	struct smf_export_options o = {(enum smf_format)form, SMF_IBM1047, 0, 0xff};
	struct smf_export *x = NULL;
	double best = 1e9;
	off_t size = lseek(fd, 0, SEEK_END);

	if (form >= 0 && smf_export_open(null, &o, &x, NULL) < 0)
		die("out of memory");
	for (unsigned i = 0; i < ROUNDS; i++) {
		double took = read_file(fd, x, records);

		best = took < best ? took : best;
	}
	smf_export_close(x);
	printf("%-10s %6.0f MB/s of records, %.2f us a record\n", name, (double)size / best / 1e6,
	       best / records * 1e6);
}

int main(void)
{
	int fd = memfd_create("smf", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsigned records;

	if (fd < 0 || null < 0)
		die("cannot make a file");
	records = make_file(fd);
	measure(fd, null, "decoded", -1, records);
	measure(fd, null, "JSON", SMF_JSON, records);
	measure(fd, null, "CSV", SMF_CSV, records);
	measure(fd, null, "CEF", SMF_CEF, records);
	measure(fd, null, "text", SMF_TEXT, records);
	return 0;
}
