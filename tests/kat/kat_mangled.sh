#!/bin/sh
# The known-answer check must find a single wrong digit in each kind of value, and a broken packet.
set -u
kat=./tests/kat/kat
captures=${srcdir:-.}/tests/captures
name=main-psk-aes128-sha1-modp2048
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

must_fail() {
	if "$kat" "$dir" >"$dir/out" 2>&1 || ! grep -q "^BAD $name" "$dir/out"; then
		echo "not found: $1"
		failed=1
	fi
}

for key in psk g_xy SKEYID SKEYID_d SKEYID_a SKEYID_e Ka iv auth_key enc_key; do
	cp -f "$captures/$name.pcap" "$dir/"
	# The first hex digit after an optional 0x becomes another one.
	sed -e "/\"$key\": \"\(0x\)\{0,1\}7/{s/\(\"$key\": \"\(0x\)\{0,1\}\)./\18/;b
}" -e "s/\(\"$key\": \"\(0x\)\{0,1\}\)[^\"]/\17/" "$captures/$name.json" >"$dir/$name.json"
	if cmp -s "$captures/$name.json" "$dir/$name.json"; then
		echo "$key: nothing was changed"
		failed=1
	fi
	must_fail "$key"
done

# One byte of the first key exchange value; it stands in the third packet.
cp -f "$captures/$name.json" "$dir/"
cp -f "$captures/$name.pcap" "$dir/"
chmod u+w "$dir/$name.pcap"
printf '\125\125\125' | dd of="$dir/$name.pcap" bs=1 seek=600 conv=notrunc 2>/dev/null
must_fail "packet"

rm -f "$dir"/*.json
if "$kat" "$dir" >/dev/null 2>&1; then
	echo "a directory without captures passes"
	failed=1
fi
exit "$failed"
