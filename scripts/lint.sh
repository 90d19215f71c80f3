# shellcheck shell=bash
# Lint: each tool is one case.

# By name, and not by asking git, which refuses a clone that somebody else owns.
files() { find . \( -path './build*' -o -path ./.git \) -prune -o -type f "$@" -printf '%P\n' | sort; }
c_files() { files -name '*.[ch]'; }
c_sources() { files -name '*.c'; }
# ./dev brings its parts in scripts/ with it.
shell_files() { printf '%s\n' dev .ci/run tests/lab/run tests/lab/init tests/lab/init-native; }

lint_format() { c_files | xargs -r clang-format --dry-run -Werror; }

# Checks that find faults; what gcc's warnings know better (printf, uninitialized) is left to them.
lint_cppcheck() {
	c_sources | xargs -r cppcheck -q -j "$jobs" --std=c11 --error-exitcode=1 --inline-suppr \
		--enable=warning,performance,portability --suppress=missingIncludeSystem \
		--suppress=uninitvar --suppress=invalidPrintfArgType_uint -D_GNU_SOURCE -I . -I "$build"
}

# A file is looked at again only when it, a header or the checks have changed.
lint_tidy() {
	local headers flags
	headers=$(files -name '*.h' | xargs -r cat .clang-tidy "$build/config.h" | sha256sum)
	flags=$(pkg-config --cflags libgcrypt libmnl libdaemon sqlite3 libnftables libuv jansson libpq check)
	mkdir -p "$build/tidy"
	export -f tidy_file
	export build headers flags
	# shellcheck disable=SC2016 # $1 is the inner shell's
	c_sources | xargs -r -P "$jobs" -I{} bash -c 'tidy_file "$1"' _ {}
}

tidy_file() {
	local seen out
	seen=$build/tidy/$( (printf '%s' "$headers" && cat "$1") | sha256sum | cut -c1-32)
	[ ! -e "$seen" ] || return 0
	# shellcheck disable=SC2086 # flags are words
	if ! out=$(clang-tidy --quiet "$1" -- -std=gnu11 -I. -I"$build" -include config.h \
		-D_GNU_SOURCE -DSYSCONFDIR='""' -DTESTDATA='""' $flags 2>/dev/null); then
		printf '%s\n' "$out"
		return 1
	fi
	touch "$seen"
}

lint_shell() { shell_files | xargs -r shellcheck -x; }

lint_python() {
	files -name '*.py' | xargs -r python3 -c 'import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path).read(), path)'
}

# The pages that rows make: of the grammar, and of SMF records.
MADE_DOCS=(policy/compatibility:docs/compatibility.md smf/smf119:docs/smf119.md)

make_docs() {
	local made
	for made in "${MADE_DOCS[@]}"; do
		"$build/${made%:*}" >"$build/made.md"
		cmp -s "$build/made.md" "${made#*:}" || cp "$build/made.md" "${made#*:}"
	done
}

lint_docs() {
	local made stale=0
	for made in "${MADE_DOCS[@]}"; do
		"$build/${made%:*}" | diff -u "${made#*:}" - && continue
		echo "${made#*:} is not what the rows say; ./dev docs makes it anew"
		stale=1
	done
	return "$stale"
}

# What is in the tree is in the tarball.
lint_dist() {
	local missing
	make -C "$build" distdir distdir="$build/dist" >/dev/null || return 1
	missing=$(files \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' -o -name '*.mk' -o -name '*.md' \
		-o -path './tests/data/*' -o -path './tests/captures/*' -o -path './dist/*' -o -path './man/*' \
		-o -path './examples/*' \) |
		while read -r f; do [ -e "$build/dist/$f" ] || printf '%s\n' "$f"; done)
	chmod -R u+w "$build/dist"
	rm -rf "$build/dist"
	[ -z "$missing" ] || printf 'not named in a build fragment, so not distributed:\n%s\n' "$missing"
	[ -z "$missing" ]
}

run_lint() {
	check lint-clang-format lint_format
	check lint-cppcheck lint_cppcheck
	check lint-clang-tidy lint_tidy
	check lint-shellcheck lint_shell
	check lint-python lint_python
	check lint-docs lint_docs
	check lint-dist lint_dist
}
