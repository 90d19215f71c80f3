/* Lines and words of policy files. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/lex.h"
#include "tests/unit/run_suite.h"

static struct pol_lines lex(const char *text, size_t size)
{
	struct pol_lines lines;
	struct cs_err err;

	ck_assert_int_eq(pol_lex_text(text, size, &lines, &err), 0);
	return lines;
}

START_TEST(test_lines)
{
	static const char text[] = "first  # a comment\n"
				   "\n"
				   "   # only a comment\n"
				   "\t second line \t\r\n"
				   "{\r\n"
				   "key#glued\n"
				   "last";
	static const struct {
		const char *text;
		unsigned number;
		bool glued;
	} want[] = {
		{"first", 1, false}, {"second line", 4, false}, {"{", 5, false},
		{"key", 6, true},    {"last", 7, false},
	};
	struct pol_lines lines = lex(text, sizeof(text) - 1);

	ck_assert_uint_eq(lines.n, sizeof(want) / sizeof(want[0]));
	ck_assert_uint_eq(lines.last, 7);
	for (unsigned i = 0; i < lines.n; i++) {
		ck_assert_str_eq(lines.lines[i].text, want[i].text);
		ck_assert_uint_eq(lines.lines[i].number, want[i].number);
		ck_assert(lines.lines[i].glued == want[i].glued);
		ck_assert_ptr_null(lines.lines[i].bad);
	}
	pol_lines_free(&lines);
}
END_TEST

START_TEST(test_bad_lines)
{
	static const char head[] = "a\nb\0c\nd\n";
	struct pol_lines lines;
	char *text = malloc(3 * POL_LINE_MAX);
	size_t n = 0;

	ck_assert_ptr_nonnull(text);
	n = sizeof(head) - 1;
	memcpy(text, head, n);
	memset(text + n, 'x', POL_LINE_MAX + 1);
	n += POL_LINE_MAX + 1;
	text[n++] = '\n';
	memset(text + n, 'y', POL_LINE_MAX);
	n += POL_LINE_MAX;
	lines = lex(text, n);
	ck_assert_uint_eq(lines.n, 5);
	ck_assert_ptr_null(lines.lines[0].bad);
	ck_assert_str_eq(lines.lines[1].bad, "the line has a NUL byte");
	ck_assert_str_eq(lines.lines[1].text, "");
	ck_assert_str_eq(lines.lines[2].text, "d");
	ck_assert_str_eq(lines.lines[3].bad, "the line is longer than 4096 bytes");
	ck_assert_uint_eq(strlen(lines.lines[4].text), POL_LINE_MAX);
	pol_lines_free(&lines);
	free(text);
}
END_TEST

START_TEST(test_empty_text)
{
	struct pol_lines lines = lex("", 0);

	ck_assert_uint_eq(lines.n, 0);
	ck_assert_uint_eq(lines.last, 0);
	pol_lines_free(&lines);
	lines = lex("#\n \n\n", 5);
	ck_assert_uint_eq(lines.n, 0);
	ck_assert_uint_eq(lines.last, 3);
	pol_lines_free(&lines);
}
END_TEST

START_TEST(test_file_errors)
{
	struct pol_lines lines;
	struct cs_err err;

	ck_assert_int_eq(pol_lex_file("/nonexistent/file", "IBM-1047", &lines, &err), CS_ESYS);
	ck_assert_ptr_nonnull(strstr(err.text, "cannot open it"));
	ck_assert_int_eq(pol_lex_file("/", "IBM-1047", &lines, &err), CS_ESYS);
	ck_assert_ptr_nonnull(strstr(err.text, "cannot read it"));
}
END_TEST

/* A pipe is read to its end; one that nobody writes to has come to it. */
START_TEST(test_pipe)
{
	char dir[] = "/tmp/test-lex-XXXXXX", path[64];
	struct pol_lines lines;
	struct cs_err err;
	int fds[2];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pipe", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(pol_lex_file(path, "IBM-1047", &lines, &err), 0);
	ck_assert_uint_eq(lines.n, 0);
	pol_lines_free(&lines);
	unlink(path);
	rmdir(dir);

	ck_assert_int_eq(pipe(fds), 0);
	if (fork() == 0) {
		usleep(100000);
		_exit(write(fds[1], "a line\n", 7) != 7);
	}
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	ck_assert_int_eq(pol_lex_file(path, "IBM-1047", &lines, &err), 0);
	ck_assert_uint_eq(lines.n, 1);
	pol_lines_free(&lines);
	close(fds[0]);
	ck_assert_int_gt(wait(NULL), 0);
}
END_TEST

START_TEST(test_too_large)
{
	size_t size = (size_t)POL_FILE_MAX + 1;
	char *text = calloc(1, size);
	struct pol_lines lines;
	struct cs_err err;

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(pol_lex_text(text, size, &lines, &err), CS_ELIMIT);
	memset(text, '\n', size - 1);
	ck_assert_int_eq(pol_lex_text(text, size - 1, &lines, &err), CS_ELIMIT);
	ck_assert_ptr_nonnull(strstr(err.text, "lines"));
	free(text);
}
END_TEST

START_TEST(test_words)
{
	const char *text = "  Alpha\tbeta  gamma ";
	char copy[6];
	struct pol_word word = pol_word_next(&text);

	ck_assert(pol_word_is(word, "alpha"));
	ck_assert(!pol_word_is(word, "alph"));
	ck_assert(!pol_word_is(word, "alphas"));
	ck_assert(pol_word_copy(word, copy, sizeof(copy)));
	ck_assert_str_eq(copy, "Alpha");
	ck_assert(!pol_word_copy(word, copy, 5));
	ck_assert(pol_word_is(pol_word_next(&text), "BETA"));
	ck_assert(pol_word_is(pol_word_next(&text), "gamma"));
	ck_assert_uint_eq(pol_word_next(&text).len, 0);
	ck_assert_uint_eq(pol_word_next(&text).len, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lex");
	TCase *tc = tcase_create("lex");

	tcase_add_test(tc, test_lines);
	tcase_add_test(tc, test_bad_lines);
	tcase_add_test(tc, test_empty_text);
	tcase_add_test(tc, test_file_errors);
	tcase_add_test(tc, test_pipe);
	tcase_add_test(tc, test_too_large);
	tcase_add_test(tc, test_words);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
