/*
 * libFuzzer: datagrams through the header, the chain, the rules of every step and the proposals of
 * both phases.  Chains are tried whatever the header says, so that lengths that do not fit there do
 * not keep the fuzzer from what follows.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/wire_check.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	wire_policies();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_count count = {0};
	struct isa_header h = {0};

	wire_check_message(data, size, false, &count);
	wire_check_message(data, size, true, &count);
	if (size <= ISA_HEADER_LEN)
		return 0;
	h.next = data[16];
	h.exchange = data[18];
	h.flags = data[19];
	wire_check_chain(&h, data + ISA_HEADER_LEN, size - ISA_HEADER_LEN, false, &count);
	wire_check_chain(&h, data + ISA_HEADER_LEN, size - ISA_HEADER_LEN, true, &count);
	wire_check_sa((struct cs_bytes){data + ISA_HEADER_LEN, size - ISA_HEADER_LEN}, &count);
	return 0;
}
