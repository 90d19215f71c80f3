/* The ipsec command: displays and controls the IP security of a stack. */
#include <stdio.h>

#include "ipsec-cli/ask.h"

static int run(struct command *cmd)
{
	switch (cmd->action) {
	case ACTION_HELP:
		fputs(command_usage, stdout);
		return EXIT_DONE;
	case ACTION_VERSION:
		printf("ipsec (csipsec) %s\n", PACKAGE_VERSION);
		return EXIT_DONE;
	case ACTION_DISPLAY:
		return run_display(cmd);
	case ACTION_ACTIVATE:
	case ACTION_DEACTIVATE:
	case ACTION_REFRESH:
	case ACTION_DEFAULT:
	case ACTION_RELOAD:
		break;
	}
	return run_action(cmd);
}

int main(int argc, char **argv)
{
	struct command cmd;
	struct cs_err err = {0};
	int rc;

	rc = command_parse(argc, argv, &cmd, &err);
	if (rc < 0) {
		complain("%s", err.text);
		fputs("Try 'ipsec --help'.\n", stderr);
		rc = EXIT_USAGE;
	} else {
		rc = run(&cmd);
	}
	command_free(&cmd);
	if (fclose(stdout) != 0 && rc == 0) {
		complain("the report could not be written");
		rc = EXIT_TARGET_FAILED;
	}
	return rc;
}
