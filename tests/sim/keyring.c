/*
 * The keyring of hosts that prove themselves by RSA signatures.  One certificate names all of them;
 * with the CA between it and the root it makes a message too large for one packet.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#ifdef HAVE_OPENSSL

#include <openssl/crypto.h>

#include "pki/pki.h"

/* For tests alone; valid from 2020 to 2049. The root's key and the other CA's are nowhere. */
static const char root_pem[] = "-----BEGIN CERTIFICATE-----\n"
			       "MIIDGjCCAgKgAwIBAgICEAEwDQYJKoZIhvcNAQELBQAwLjELMAkGA1UEBhMCVVMx\n"
			       "EDAOBgNVBAoMB0V4YW1wbGUxDTALBgNVBAMMBFJvb3QwHhcNMjAwMTAxMDAwMDAw\n"
			       "WhcNNDkxMjMxMjM1OTU5WjAuMQswCQYDVQQGEwJVUzEQMA4GA1UECgwHRXhhbXBs\n"
			       "ZTENMAsGA1UEAwwEUm9vdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEB\n"
			       "AKMef9xKK1lhki8cNmx6f9MiJUQwmmQW+5aBwj4/SaMrPN02VyApmfIye8/QNsJd\n"
			       "y+YKLPOh5tyJ7Ietc09alt3Ctx5B3UsB8CmOYoVWxu4LgCWxADtYGFPFb2j5bghv\n"
			       "DECrPAGLL4KBGp2S8xB+tDMYIYbQGwu+55hsMw6QeKgX8+562Eot1QeVz0MGcn1Z\n"
			       "NhEp81MxKRwB3UB8h7f5WIeUZn9vnEMeDBETKK4WBpitDlyKhKL74fqXFvLk/nNG\n"
			       "OCrO0QSMuchpu/KdnIpnydri7TMkt7iOlXo1ndFQx4wm/ctKE2/Jsy0CTdbN0k6j\n"
			       "VwPNe5cfNP9KgZkhZpSY1X8CAwEAAaNCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNV\n"
			       "HQ8BAf8EBAMCAQYwHQYDVR0OBBYEFABnbFrtRnRZ4C++N8ULzIUXjoODMA0GCSqG\n"
			       "SIb3DQEBCwUAA4IBAQAS8Ea7DfWFli8yfvLU8gHmsPFJGn3Cp4Xcl5FHAAgCs8Nl\n"
			       "c6uR6oWZUgpwHu1sBKrcJ+zCjqq+hjecapY20JEGiit5pq38Sk/nzNxtKNcm31di\n"
			       "CTkMixMwxMoq9Up/EtQGU+pOA/yF3v4QsMTV8qHLTZY7F0f+DpNH2td+TI8PKDIB\n"
			       "wbeM8jlulpUawOP+ZEx9tA1To5jQx//JefaEZdccr4KoAcWrq+306OfEYrWjHKDE\n"
			       "7SJyI4XTK03WHbYNOyuH+8RxHPprB11ZSXxkDuUiWVDom3147m8Xdz5BudfaxqIb\n"
			       "J5uFKbVvIUWxgBOfxb9aly1vF9jZyXd219sJ+o0n\n"
			       "-----END CERTIFICATE-----\n";
static const char host_pem[] = "-----BEGIN PRIVATE KEY-----\n"
			       "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC0qUyy+ew1PJSH\n"
			       "JSSqj6SY8NiR2/9Sz2BLlev48TBdp6VZ0g2eZtCFzZ9E5xbU1KzgeSMlBIauVa5M\n"
			       "bwaBYfQDI7nCGUDeaTHWB/IfPrwvJ5Jk1hYEveW8DV/JnlaSLjfjnou7p0pXJnFr\n"
			       "MmGjol4OA/9qecQ7ouZy8DFDTrwEx0tGcMBXwAmh7YpWovBDK6Uv1qsADvfblHji\n"
			       "a3RTUo5Mo4104aHYrKN+UXf8UztqyTj1Q2+MYGcXK1lkP4HxaXNmolZPlV3YiCQ+\n"
			       "0tPFflDvEQjRYbGoomXCTvlRDBtq67OGJyATxZo8PyMvhue3OQLRJnq7AfZ2Zbh6\n"
			       "1ynEMGvvAgMBAAECggEAFQPEf4/WzB0vNxvjoftyLWAxW6DNmGJgVH/XTRkxLmkR\n"
			       "MNuK6KwTrBzOXq4gLRhNa7xrkXjEpIQkRuZ7ST2NrCJ8ZHmaNBo5yShvdPb6iORU\n"
			       "1mnuHGsXzWzOLEkWJOGUxWNsjvgstj/V3Z76AJYjKVo0XGcBo+DqZuBNuq3ul6zX\n"
			       "JS4NJoZo6vp2eyNSE4gyW3WKeCB3ySSpaLKq+sw5CFjZt7lL+K7i/sN1xk/JNYyz\n"
			       "PNs/dK/OIJZCxqHZEdXKGqzpXnZQNBfjAqaNoENCqqGvh2TVmuvyzu357IueJ7NR\n"
			       "NwCRnVqZOS4gPKfdLxvBQHYcUGK/3mM+fWPzAJxH4QKBgQD4aggFf5Xda3Tuyq4Z\n"
			       "z1g5kOASOZ2HVTG7w+fSriTzDFUHFMgFSXWIPqQl6dvldjsj4dZJO3gzCDSNhZHI\n"
			       "8hBKeNvBhVQrfl74a6C6AG2Nt4LeVv3hRQsQvHqlmpigFF0275R1W37g2yjywL2T\n"
			       "kLYOu0eBNK5KNtPTP7+/dnjNKQKBgQC6LZzhpRGtXSesQtiFicGgSaX1sa5QWEwh\n"
			       "nYmqGmzmvqpJ6PzDsXvkL/2VcYmv6GbVSWLXSmrIvhC4UWpec3cdw6c8wuwaKP67\n"
			       "fUPd8hREwRHA886XPf7LG/dyUjc2uKGTJNomyx6Kr8Fnv4jQR0FS6UY4xl0oFGRa\n"
			       "NMNzBBB7VwKBgQDwtkYZld0RlrvTXGDCL9IMzh7iaiQEbIBpstbjps21GmEWIIQF\n"
			       "433ZTOHgvzDOs/dwuLjdc5vwz2WlMSXoMu+oSl6fsmOyVZ0PWbOAKUP/TDCq5F7U\n"
			       "uAOV7x1ldV2p2LHOtu8DnWpf1t5iBHRvFo3jzoPmZrbwwRoXnLFghRtfqQKBgQCL\n"
			       "lU0Mg8TIFJJ8/TT2kXyA3xa1KTzGchzKCyG+TceeDA8CENMJKRT41N4rYA9ZukT2\n"
			       "3elj/iAnVxCUED5OiAUjZKAK1x1K07d/+/+Y9Dkr/xB/eItIKyvPPa18oZVRyoUh\n"
			       "G70O3rSMSA8Z6Kj7dqDMN6b1RAtt1DQUyYBLyB1PSwKBgEoiT3lE1DCejwr8Abq9\n"
			       "qvdmUMyN1JzBFasC7Y4JCFMpCITS/kF7bk0z7CcrE2FJZo4P1Sy58g4TQLKMOKnm\n"
			       "xSN7vsgDt+PQvJdtH5GQCg+3rQFd94AVugnvUIeWujrs31+D71Cl4wvv7FivYHih\n"
			       "Lt59ERBhES+Lrhba/2Aj3ClV\n"
			       "-----END PRIVATE KEY-----\n"
			       "-----BEGIN CERTIFICATE-----\n"
			       "MIIDujCCAqKgAwIBAgICEAMwDQYJKoZIhvcNAQELBQAwMDELMAkGA1UEBhMCVVMx\n"
			       "EDAOBgNVBAoMB0V4YW1wbGUxDzANBgNVBAMMBk1pZGRsZTAeFw0yMDAxMDEwMDAw\n"
			       "MDBaFw00OTEyMzEyMzU5NTlaMC4xCzAJBgNVBAYTAlVTMRAwDgYDVQQKDAdFeGFt\n"
			       "cGxlMQ0wCwYDVQQDDARob3N0MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n"
			       "AQEAtKlMsvnsNTyUhyUkqo+kmPDYkdv/Us9gS5Xr+PEwXaelWdINnmbQhc2fROcW\n"
			       "1NSs4HkjJQSGrlWuTG8GgWH0AyO5whlA3mkx1gfyHz68LyeSZNYWBL3lvA1fyZ5W\n"
			       "ki43456Lu6dKVyZxazJho6JeDgP/annEO6LmcvAxQ068BMdLRnDAV8AJoe2KVqLw\n"
			       "QyulL9arAA7325R44mt0U1KOTKONdOGh2KyjflF3/FM7ask49UNvjGBnFytZZD+B\n"
			       "8WlzZqJWT5Vd2IgkPtLTxX5Q7xEI0WGxqKJlwk75UQwbauuzhicgE8WaPD8jL4bn\n"
			       "tzkC0SZ6uwH2dmW4etcpxDBr7wIDAQABo4HfMIHcMAkGA1UdEwQCMAAwCwYDVR0P\n"
			       "BAQDAgeAMB0GA1UdDgQWBBTJFWwuj+nrsaTF+WOmeoa41wJYRzAfBgNVHSMEGDAW\n"
			       "gBQqT3QMEZiwCURKrNid0JyW29s+ljCBgQYDVR0RBHoweIcEwAACAYcExjNkAocE\n"
			       "ywBxA4cQIAENuAABAAAAAAAAAAAAAYcQIAENuAACAAAAAAAAAAAAAocQIAENuAAD\n"
			       "AAAAAAAAAAAAA4IOaG9zdC0wLmV4YW1wbGWCDmhvc3QtMS5leGFtcGxlgg5ob3N0\n"
			       "LTIuZXhhbXBsZTANBgkqhkiG9w0BAQsFAAOCAQEALgZer3oJf4mloycI5MhcaL0n\n"
			       "VUOIlT3P0b0DmBZ1xV/16Go7ewtbmk7sW+SmQaLxfjFXuZ2PvFxNwUBmQ3VDOonh\n"
			       "kA6kqQRyCE6N6KcyKkWq8061MEG9JRMqlb1TCv1EBKcg5UQf66O27n795cJUdFmD\n"
			       "mufoFNhp2YIaiyq2nRiorQ+RmQv6ksXPjEkiaccArn5INKiRzg9gddu7uyUI6kjp\n"
			       "2Fczk/82MZhcqc6MaoU3dNZAy+KJS4/HRgP2zA6bJ9W6fXWkHOrkD4UcabZt+J90\n"
			       "rapIanuGq9nUq9RQ91+t1dcGyPG8xFDhEXcaRgCOLvLHILd1iglxlUXlZ+MSGQ==\n"
			       "-----END CERTIFICATE-----\n"
			       "-----BEGIN CERTIFICATE-----\n"
			       "MIIDPTCCAiWgAwIBAgICEAIwDQYJKoZIhvcNAQELBQAwLjELMAkGA1UEBhMCVVMx\n"
			       "EDAOBgNVBAoMB0V4YW1wbGUxDTALBgNVBAMMBFJvb3QwHhcNMjAwMTAxMDAwMDAw\n"
			       "WhcNNDkxMjMxMjM1OTU5WjAwMQswCQYDVQQGEwJVUzEQMA4GA1UECgwHRXhhbXBs\n"
			       "ZTEPMA0GA1UEAwwGTWlkZGxlMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n"
			       "AQEArlvO9V8pawS2udXV0TeohWRkowBXGcZHSY27IwbqHrcp38Cgw4wb5RmM4ETB\n"
			       "tRW5nBm0x6mGwcymAwh98CmgtDaFnED8o/jKthJ3UfvSh+j4OjRvR+b00DJqhNh4\n"
			       "aSpIz4lx/kpSIjoObCj80m3GvEOHEGQpa9Kll+lFRXMEcXYjd+eoez/6z1xuYNPe\n"
			       "eMVz/gUy5g4y0D3AFVIQDC+siIc61SxDSPHAT+/btQq9M+AxCf1eo4mEWGHl6S5b\n"
			       "OWgIDL6bO4QoJC6cx8tVoeSJrDlja+I6VJVhyXhim4GwmpSQ+DE3cShlfvhizWzp\n"
			       "L1/TcLllTrNy0M29vu542ddPWwIDAQABo2MwYTAPBgNVHRMBAf8EBTADAQH/MA4G\n"
			       "A1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUKk90DBGYsAlESqzYndCcltvbPpYwHwYD\n"
			       "VR0jBBgwFoAUAGdsWu1GdFngL743xQvMhReOg4MwDQYJKoZIhvcNAQELBQADggEB\n"
			       "AIW9G+W9Fhrlc1jj02s0F2SFeSabUgecMQM2TK7bEjiJTF/glxiolY0u2lRi2TFp\n"
			       "1QKvftOTqjLBjytAljyA0LoMAWtXhMfJeVjZygDD9xIm6pPqnc0Cxize2Z/0z8Cz\n"
			       "RnzuZc7uGiV07MtUgCtc12rZugwtRUGYiTnKfgoZZisSMprZlpvZeF/qY5MBqkHF\n"
			       "iQrCPVP8gbRaalOg3Awduv4mvDYwxxLDhkaKZ55BfwpO7uRh/MDGXHk/FcmmToNW\n"
			       "JF5URxr1tZefh7W6W0MBO7t1fcEk3wSr2rD8znjSLJB7DqbbB0KO6ChAtNYNKInP\n"
			       "GX6NR1qvgB2ncGfh52ET9sg=\n"
			       "-----END CERTIFICATE-----\n";

static bool put(const char *dir, const char *name, const char *text)
{
	char path[64];
	int fd;
	bool done;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

static void remove_from(const char *dir, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

static void complain(void *arg, const char *file, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n", file, text);
}

int sim_keyring(struct ike_cert_ring *ring)
{
	char dir[] = "/tmp/csipsec-sim-XXXXXX";
	struct cs_err err = {0};
	int rc = -1;

	if (!mkdtemp(dir)) {
		perror(dir);
		return -1;
	}
	if (put(dir, "Root.pem", root_pem) && put(dir, "host.pem", host_pem))
		rc = pki_keyring_load(dir, complain, NULL, &ring->keyring, &err);
	if (rc)
		fprintf(stderr, "%s: %s\n", dir, err.text);
	remove_from(dir, "Root.pem");
	remove_from(dir, "host.pem");
	rmdir(dir);
	return rc;
}

void sim_keyring_free(struct ike_cert_ring *ring)
{
	pki_keyring_free(ring->keyring);
	ring->keyring = NULL;
	OPENSSL_thread_stop(); /* its queue of errors is memory that grows for a while */
}

#else

int sim_keyring(struct ike_cert_ring *ring)
{
	(void)ring;
	fputs("signatures need OpenSSL, which is not built in\n", stderr);
	return -1;
}

void sim_keyring_free(struct ike_cert_ring *ring)
{
	(void)ring;
}

#endif
