/* Certificate jobs: what an engine needs of them without any OpenSSL. */
#include "iked/cert.h"

#include <stdlib.h>

void ike_cert_job_clear(struct ike_cert_job *job)
{
	free(job->memory);
	job->memory = NULL;
	job->out.n = 0;
	job->made_len = 0;
}
