/*
 * libFuzzer: a peer's certificates and CRLs, and the messages between worker and certificate
 * helper; pki_check.h has the form of an input.
 */
#include "tests/fuzz/pki_check.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	pki_check_setup();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pki_count count = {0};

	pki_check_input(data, size, &count);
	return 0;
}
