# shellcheck shell=bash
# Builds that few people use and that must work all the same; ./dev test --full makes them.

variant() {
	local dir=$build/variants/$1
	shift
	mkdir -p "$dir"
	in_dir "$dir" "$top/configure" --enable-werror "$@" && make -C "$dir" -j"$jobs" check
}

run_variants() {
	make_configure
	check build-without-openssl variant without-openssl --without-openssl
	check build-without-libpq variant without-libpq --without-libpq
	check build-without-libcap-ng variant without-libcap-ng --without-libcap_ng
	check build-without-libseccomp variant without-libseccomp --without-libseccomp
	check build-without-all variant without-all --without-openssl --without-libpq --without-libcap_ng --without-libseccomp
	check build-with-clang variant clang CC=clang
	check distcheck make -C "$build" -j"$jobs" distcheck
}
