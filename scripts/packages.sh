# shellcheck shell=bash
# Debian packages: which ones a task needs, and installing those that are missing.

{
	BUILD_PACKAGES=(
		gcc make autoconf automake pkg-config libc6-dev check
		libgcrypt20-dev libcrypt-dev libmnl-dev libdaemon-dev libsqlite3-dev libnftables-dev libuv1-dev
		libjansson-dev zlib1g-dev libssl-dev openssl libcap-ng-dev libseccomp-dev libpq-dev
	)
	LAB_PACKAGES=(python3 iproute2 nftables conntrack iputils-ping tcpdump util-linux systemd passwd e2fsprogs)
	PEER_PACKAGES=(keepalived postgresql charon-systemd strongswan-swanctl libstrongswan-standard-plugins vpnc)
	FUZZ_PACKAGES=(clang libclang-rt-14-dev)
	LINT_PACKAGES=(clang-format clang-tidy cppcheck shellcheck python3)
	KERNEL_PACKAGES=(
		linux-source-6.1 gcc make libc6-dev flex bison bc libelf-dev libssl-dev xz-utils
	)
}

missing_packages() {
	local have
	have=" $(dpkg-query -W -f='${Package}/${db:Status-Status} ' "$@" 2>/dev/null || :)"
	local p
	for p in "$@"; do
		[[ $have == *" $p/installed "* ]] || printf '%s\n' "$p"
	done
}

need_packages() {
	local missing log
	mapfile -t missing < <(missing_packages "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "packages are missing and only root can install them: ${missing[*]}"
	mkdir -p "$build"
	log=$build/packages.log
	say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
	: >"$log"
	if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
		say "  fetching the package lists"
		apt-get update >>"$log" 2>&1 || :
	fi
	if ! apt_install "${missing[@]}" >>"$log" 2>&1; then
		say "  fetching the package lists anew"
		apt-get update >>"$log" 2>&1 || :
		apt_install "${missing[@]}" >>"$log" 2>&1 ||
			die "apt-get install failed: $(tail -n 3 "$log" | tr '\n' ' ')(all in $log)"
	fi
	# What tests start themselves must not stay behind as a service, one that holds UDP 500 least of all.
	local package
	for package in charon-systemd:strongswan keepalived:keepalived postgresql:postgresql; do
		if [[ " ${missing[*]} " == *" ${package%:*} "* ]] && [ -d /run/systemd/system ]; then
			systemctl disable --now "${package#*:}.service" >>"$log" 2>&1 || :
		fi
	done
}

apt_install() {
	apt-get install -y -q --no-install-recommends "$@"
}
