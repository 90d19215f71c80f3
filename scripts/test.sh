# shellcheck shell=bash
# ./dev test: everything that is checked, one line a case, one line of counts at the end.

passed=0 failed=0 skipped=0

# check NAME COMMAND...: one case; its output is in build/logs/NAME.log, shown when it fails.
check() {
	local name=$1 log=$build/logs/${1//\//-}.log began
	shift
	mkdir -p "$build/logs"
	began=$(date +%s%N)
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		printf '  ok   %s (%s)\n' "$name" "$(since "$began")"
	else
		failed=$((failed + 1))
		printf '  FAIL %s (%s), see %s\n' "$name" "$(since "$began")" "${log#"$top"/}"
		tail -n 25 "$log" | sed 's/^/       /'
	fi
}

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
		*.sh) check "${t#tests/}" in_dir "$build/asan" env srcdir="$top" "$top/$t" ;;
		*) check "${t#tests/}" in_dir "$build/asan" "./$t" ;;
		esac
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
	--full) full=(--full) scenarios=100000 days=365 mutations=10000000 ;;
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
	title "Simulation: every loss, duplication and swap; $scenarios scenarios twice; $days days of 50 peers"
	check sim-exhaustive "$build/asan/$SIM_PROGRAM" --exhaustive
	check sim-seed-1 "$build/asan/$SIM_PROGRAM" --scenarios "$scenarios" --seed 1
	check "sim-seed-$seed" "$build/asan/$SIM_PROGRAM" --scenarios "$scenarios" --seed "$seed"
	check "sim-days-$seed" "$build/asan/$SIM_PROGRAM" --days "$days" --seed "$seed"

	title "Mutated datagrams through the engine"
	check fuzz "$build/asan/$FUZZ_PROGRAM" --datagrams "$mutations" --seed "$seed"

	title "Lint"
	run_lint

	if [ "${#full[@]}" -gt 0 ]; then
		title "Fuzzing with libFuzzer"
		run_fuzzers 60
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
