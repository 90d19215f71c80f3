# shellcheck shell=bash
# libFuzzer: targets built with clang in build/fuzz; what they found stays there in TARGET-*.

FUZZERS=(fuzz_isakmp fuzz_policy fuzz_nmi fuzz_pki fuzz_shared_row fuzz_smf)

build_fuzzers() {
	configured "$build/fuzz" CC=clang --enable-fuzzing --enable-sanitizers CFLAGS="-O2 -g"
	make_in "$build/fuzz" "Building for libFuzzer" make-fuzz tests/fuzz/seeds "${FUZZERS[@]/#/tests/fuzz/}"
}

# Small texts and messages that are right, from which the fuzzers go on.
make_seeds() {
	local corpus=$build/fuzz/seeds n=0 line file
	rm -rf "$corpus"
	mkdir -p "${FUZZERS[@]/#/$corpus/}"
	"$build/fuzz/tests/fuzz/seeds" "$corpus" tests/captures
	find tests/data/policy tests/policies/bad examples -name '*.policy' -o -name '*.conf' |
		while read -r file; do
			cp "$file" "$corpus/fuzz_policy/${file//\//-}"
		done
	# In hex in the tree: one record a file, and a file of all.
	for line in tests/data/smf/*.hex; do
		printf '%b' "$(tr -d ' \n' <"$line" | sed 's/../\\x&/g')" >"$corpus/fuzz_smf/$(basename "$line" .hex)"
	done
	cat "$corpus"/fuzz_smf/* >"$build/fuzz/smf-all"
	mv "$build/fuzz/smf-all" "$corpus/fuzz_smf/all"
	# The first byte says to whom and how, see fuzz_nmi.c.
	while read -r line; do
		n=$((n + 1))
		printf '%b' "$line" >"$corpus/fuzz_nmi/$n"
	done <<-'END'
		\x02{"request":"echo","a":[1,{"b":null}]}
		\x06{"request":"stream"}
		\x06{"request":"other"}\x00{"request":"echo"}
		\x00\x00\x00\x00\x12{"request":"echo"}
		\x03{"nmi":1}\x00{"entry":{"TunnelID":"K1"}}\x00{"done":true}
		\x0b{"entry":{}}\x00{"done":true,"total":1}\x00{"done":true}
		\x0b{"error":"no such tunnel","code":"not found"}
		\x03{"nmi":2}
	END
}

# fuzz_for TARGET SECONDS: in build/fuzz, where the corpus grows from run to run.
fuzz_for() {
	local target=$1 seconds=$2 dict=()
	[ "$target" != fuzz_policy ] || dict=(-dict=seeds/policy.dict)
	mkdir -p "$build/fuzz/corpus/$target"
	in_dir "$build/fuzz" "tests/fuzz/$target" -max_total_time="$seconds" -max_len=8192 -timeout=5 \
		-rss_limit_mb=1024 -artifact_prefix="$target-" -print_final_stats=1 -verbosity=1 \
		"${dict[@]}" "corpus/$target" "seeds/$target"
}

# run_fuzzers SECONDS [TARGET...]: each for so long; all of them where none is named.
run_fuzzers() {
	local seconds=$1 target targets=("${@:2}")
	[ "${#targets[@]}" -gt 0 ] || targets=("${FUZZERS[@]}")
	for target in "${targets[@]}"; do
		[[ " ${FUZZERS[*]} " == *" $target "* ]] || die "fuzz what? ${FUZZERS[*]}"
	done
	build_fuzzers
	make_seeds
	for target in "${targets[@]}"; do
		check "$target" fuzz_for "$target" "$seconds"
		sed -n 's/^Done/       &/p' "$build/logs/$target.log"
	done
}
