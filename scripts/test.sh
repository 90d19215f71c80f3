# shellcheck shell=bash
# ./dev test: everything that is checked, one line a case, one line of counts at the end.

passed=0 failed=0 skipped=0

# check NAME COMMAND...: one case; its output is in build/logs/NAME.log, shown when it fails.
check() {
	start "$@"
	tell
}

# start NAME COMMAND... runs a case beside others, as many as there are CPUs.  Lines are printed in
# the order of the starts, as soon as those before have ended; tell waits for all.
started=()
start() {
	local name=$1 log
	log=$(log_of "$1")
	shift
	mkdir -p "$build/logs"
	# What runs in the background does not hear an interrupt.
	trap 'trap - INT; kill 0' INT
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n || :
		while [ -e "$(log_of "${started[0]:-}").end" ]; do tell_first; done
	done
	rm -f "$log.end"
	{
		began=$(date +%s%N) status=0
		"$@" >"$log" 2>&1 || status=$?
		printf '%s %s\n' "$status" "$(since "$began")" >"$log.part"
		mv "$log.part" "$log.end"
	} &
	started+=("$name")
}

tell() {
	wait
	while [ "${#started[@]}" -gt 0 ]; do tell_first; done
}

tell_first() {
	local name=${started[0]} log status took
	log=$(log_of "$name")
	started=("${started[@]:1}")
	read -r status took <"$log.end" || status=none took='it did not end'
	if [ "$status" = 0 ]; then
		passed=$((passed + 1))
		printf '  ok   %s (%s)\n' "$name" "$took"
	else
		failed=$((failed + 1))
		printf '  FAIL %s (%s), see %s\n' "$name" "$took" "${log#"$top"/}"
		tail -n 25 "$log" | sed 's/^/       /'
	fi
}

log_of() { printf '%s' "$build/logs/${1//\//-}.log"; }

skip() {
	skipped=$((skipped + 1))
	printf '  skip %s: %s\n' "$1" "$2"
}

since() {
	local ms=$((($(date +%s%N) - $1) / 1000000))
	printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

title() { printf '\n%s\n' "$1"; }

finish() {
	printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" -eq 0 ] || exit 1
	[ "${CI:-}" != true ] || [ "$skipped" -eq 0 ] || exit 1
}

run_units() {
	local tests programs=() t
	# shellcheck disable=SC2016 # $(TESTS) is make's
	mapfile -t tests < <(make -s -C "$build/asan" --no-print-directory \
		--eval 'list-tests: ; @printf "%s\n" $(TESTS)' list-tests)
	for t in "${tests[@]}"; do
		[[ $t == *.sh ]] || programs+=("$t")
	done
	make_in "$build/asan" "Building the tests" make-tests "${programs[@]}" \
		"$KAT_PROGRAM" "$SIM_PROGRAM" "$FUZZ_PROGRAM"
	for t in "${tests[@]}"; do
		case $t in
		"$KAT_PROGRAM" | "$SIM_PROGRAM" | "$FUZZ_PROGRAM") ;; # have sections of their own
		*.sh) start "${t#tests/}" in_dir "$build/asan" env srcdir="$top" "$top/$t" ;;
		*) start "${t#tests/}" in_dir "$build/asan" "./$t" ;;
		esac
	done
	tell
}

# Whether the tests see what they are there for.
run_planted() {
	local bug
	make_configure
	check planted-none tests/planted/run.py --prepare "$build/planted"
	for bug in $(tests/planted/run.py --list); do
		check "planted-$bug" tests/planted/run.py "$build/planted" "$bug"
	done
}

run_lab() {
	local result name
	tests/lab/run --kernel "$lab_kernel" --build "$build" --libreswan "$libreswan" "$@" || :
	while read -r result name; do
		case $result in
		pass) passed=$((passed + 1)) ;;
		*) failed=$((failed + 1)) ;;
		esac
	done <"$build/lab/results"
}

run_tests() {
	local full=() seed scenarios=10000 days=30 mutations=1000000
	case ${1:-} in
	'') ;;
	--full) full=(--full) scenarios=30000 days=365 mutations=10000000 ;;
	*) die "test takes --full or nothing" ;;
	esac
	need_packages "${BUILD_PACKAGES[@]}" "${LAB_PACKAGES[@]}" "${PEER_PACKAGES[@]}" \
		"${LINT_PACKAGES[@]}"
	[ "${#full[@]}" -eq 0 ] || need_packages "${FUZZ_PACKAGES[@]}"
	build_release
	build_asan
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

	title "Unit tests, under ASan and UBSan"
	run_units

	title "Known answers from captures of real peers"
	check kat "$build/asan/$KAT_PROGRAM" tests/captures

	seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	title "Simulation and fuzzing: every loss, duplication and swap; $scenarios scenarios twice;
  $days days of 50 peers; $mutations mutated datagrams through the engine"
	start "sim-days-$seed" "$build/asan/$SIM_PROGRAM" --days "$days" --seed "$seed"
	start sim-exhaustive "$build/asan/$SIM_PROGRAM" --exhaustive
	start sim-seed-1 "$build/asan/$SIM_PROGRAM" --scenarios "$scenarios" --seed 1
	start "sim-seed-$seed" "$build/asan/$SIM_PROGRAM" --scenarios "$scenarios" --seed "$seed"
	start "sim-takeovers-$seed" "$build/asan/$SIM_PROGRAM" --takeovers "$((scenarios / 100))" \
		--seed "$seed"
	start sim-takeover-many "$build/asan/$SIM_PROGRAM" --many 5000 --seed 1
	start "fuzz-$seed" "$build/asan/$FUZZ_PROGRAM" --datagrams "$mutations" --seed "$seed"
	tell

	title "Lint"
	run_lint

	if [ "${#full[@]}" -gt 0 ]; then
		title "Fuzzing with libFuzzer"
		run_fuzzers 60
		title "Bugs planted in the compiler of filters, each of which a unit test must see"
		run_planted
		title "Builds: without optional libraries, with clang, from a tarball"
		run_variants
	fi

	need_libreswan
	pick_kernel
	make_in "$build" "Building the lab's own programs" make-lab "${LAB_PROGRAMS[@]}"
	title "Lab: real kernel, real peers"
	run_lab "${full[@]}"
	finish
}
