# shellcheck shell=bash
# Building out of tree: build/ for use, build/asan for the checks.  make decides what is rebuilt.

{
	BENCH_PROGRAM=tests/bench/bench_engine
	FUZZ_PROGRAM=tests/fuzz/fuzz_engine
	LAB_PROGRAMS=(tests/unit/test_xfrm tests/lab/kill_at.so)
	KAT_PROGRAM=tests/kat/kat
	SIM_PROGRAM=tests/sim/sim
}

# configure is made again only when what it is made from has changed.
make_configure() {
	local f
	if [ -x configure ]; then
		local stale=no
		for f in configure.ac Makefile.am */*.mk tests/*/*.mk; do
			[ ! "$f" -nt configure ] || stale=yes
		done
		[ "$stale" = yes ] || return 0
	fi
	say "Generating configure"
	quietly autoreconf autoreconf -fi
	touch configure
}

# configured DIRECTORY OPTION...
configured() {
	local dir=$1
	shift
	make_configure
	if [ "$dir/config.status" -nt configure ]; then
		return 0
	fi
	say "Configuring ${dir#"$top"/}"
	mkdir -p "$dir"
	quietly configure in_dir "$dir" "$top/configure" "$@"
}

in_dir() { (cd "$1" && shift && "$@"); }

# Output goes to build/logs and is shown only when the command fails.
quietly() {
	local log=$build/logs/$1.log
	shift
	mkdir -p "$build/logs"
	if ! "$@" >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		die "'$*' failed; all of its output is in ${log#"$top"/}"
	fi
}

# Says what it does only when there is something to do.
make_in() {
	local dir=$1 what=$2 log=$build/logs/$3.log
	shift 3
	mkdir -p "$build/logs"
	if ! make -C "$dir" -j"$jobs" "$@" 2>&1 | tee "$log" |
		awk -v what="$what" '/^  (CC|AR) / && !n++ { print what; fflush() }'; then
		grep -E -A3 'error|\*\*\*|warning' "$log" | head -n 40 >&2
		die "building failed; all of make's output is in ${log#"$top"/}"
	fi
}

build_release() {
	configured "$build" CFLAGS="-O2 -g"
	make_in "$build" "Building" make all
}

build_asan() {
	configured "$build/asan" --enable-sanitizers CFLAGS="-O1 -g"
	make_in "$build/asan" "Building with ASan and UBSan" make-asan all
}
