#!/usr/bin/env bash
# Runs the tests of the AVX-512 kernels on a machine without the instructions:
# pir-core's unit tests, statically linked, under Linux in the Bochs emulator.
#
#   tests/emulate-avx512.sh [FILTER...]     default: ring:: packing:: scan::
#
# The emulated CPU has AVX-512 F, BW, DQ, VL and VNNI, and AVX-VNNI. The script
# fails if a test fails, if no test ran, if the guest lacks the instructions, or
# if it does not finish in EMULATE_TIMEOUT seconds (default 1200).
# TEST_BINARY=FILE runs that static test binary instead of pir-core's.
#
# For Debian 12 on x86-64. Bochs 3.0 is built once, from the source package of
# Debian 13, and kept in the Cargo target directory: Debian 12's own Bochs has no
# AVX-VNNI and, built with its debugger, is several times slower.
set -euo pipefail
cd "$(dirname "$0")/.."

(($#)) || set -- ring:: packing:: scan::
limit=${EMULATE_TIMEOUT:-1200}
features='avx512f avx512bw avx512dq avx512vl avx512_vnni avx_vnni'
cache=${CARGO_TARGET_DIR:-$PWD/target}/emulator
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
work=$(mktemp -d)
emulator=
trap 'if [[ $emulator ]]; then kill "$emulator" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

# 1. The packages that are missing.
missing=()
for package in bochsbios vgabios isolinux syslinux-common xorriso busybox-static cpio g++ make xz-utils; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if ((${#missing[@]})); then
    sudo=$( ((EUID == 0)) || echo sudo)
    $sudo apt-get update -qq
    $sudo apt-get install -qq -y --no-install-recommends "${missing[@]}"
fi

# 2. Bochs, from a package index of its own so that the system's is unchanged.
if [[ ! -x $cache/bochs ]]; then
    mkdir -p "$work/lists/partial" "$work/source"
    cat >"$work/debian.sources" <<'END'
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
    (
        cd "$work/source"
        apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/debian.sources" -o Dir::Etc::SourceParts=-
            -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=)
        "${apt[@]}" update
        "${apt[@]}" source --tar-only bochs
        tar -xf bochs_*.orig.tar.xz --strip-components=1
        echo "building Bochs" >&2
        { ./configure --with-nogui --enable-x86-64 --enable-avx --enable-evex --enable-protection-keys \
            --enable-all-optimizations --disable-debugger --disable-docbook &&
            make -j"$(nproc)"; } >build.log 2>&1 || { tail -n 20 build.log >&2; exit 1; }
        install bochs "$cache/bochs"
    )
fi

# 3. A kernel, unpacked and not installed.
if [[ ! -f $cache/vmlinuz ]]; then
    kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
    mkdir "$work/kernel"
    (cd "$work/kernel" && apt-get -qq -o APT::Sandbox::User= download "$kernel" && dpkg -x ./*.deb .)
    cp "$work"/kernel/boot/vmlinuz-* "$cache/vmlinuz"
fi

# 4. The test binary.
target=x86_64-unknown-linux-gnu
if [[ -z ${TEST_BINARY:-} ]]; then
    TEST_BINARY=$(RUSTFLAGS='-C target-feature=+crt-static' cargo test --target $target -p pir-core --lib --no-run \
        --message-format=json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
fi

# 5. A CD whose init runs it, says how it ended, and switches the machine off.
mkdir -p "$work/root" "$work/iso"
cp /bin/busybox "$work/root/busybox"
strip -o "$work/root/test" "$TEST_BINARY"
cat >"$work/root/init" <<END
#!/busybox sh
/busybox mkdir /proc /tmp
/busybox mount -t proc proc /proc
status=0
for feature in $features; do
    /busybox grep -qw "\$feature" /proc/cpuinfo || { echo "the guest lacks \$feature"; status=1; }
done
if [ \$status = 0 ]; then
    /test --test-threads=1 $(printf '%q ' "$@") || status=\$?
fi
echo "guest finished: \$status"
/busybox sleep 1
/busybox poweroff -f
END
chmod +x "$work/root/init"
(cd "$work/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/iso/initrd"
cp "$cache/vmlinuz" /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/iso"
# Bochs reports no fast string operations in IA32_MISC_ENABLE, upon which Linux
# patches its memmove wrongly if FSRM stays on; and Bochs leaves SMM with a
# panic if five-level paging is on.
cat >"$work/iso/isolinux.cfg" <<'END'
default linux
label linux
 kernel vmlinuz
 initrd initrd
 append console=ttyS0,115200 loglevel=1 mitigations=off no5lvl clearcpuid=fsrm
END
xorriso -as mkisofs -quiet -o "$work/boot.iso" -b isolinux.bin -c boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$work/iso" 2>/dev/null

# 6. The run. Bochs takes the power-off for a panic and exits with 1, so that
# only the guest's last line tells the result.
cat >"$work/bochsrc" <<END
display_library: nogui
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=sapphire_rapids, ips=100000000, reset_on_triple_fault=0
memory: guest=512, host=512
clock: sync=none
boot: cdrom
ata0-master: type=cdrom, path=$work/boot.iso, status=inserted
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
panic: action=fatal
error: action=ignore
info: action=ignore
END
touch "$work/serial"
timeout -k 5 "$limit" "$cache/bochs" -q -f "$work/bochsrc" </dev/null >"$work/out" 2>&1 &
emulator=$!
tail -n +1 -F --pid="$emulator" "$work/serial" 2>/dev/null
code=0
wait "$emulator" || code=$?
emulator=
result=$(tr -d '\r' <"$work/serial")
if ! grep -q '^guest finished: ' <<<"$result"; then
    ((code == 124)) && echo "emulate-avx512: not finished after $limit s" >&2
    tail -n 3 "$work/log" "$work/out" >&2 || true
    exit 1
fi
grep -qx 'guest finished: 0' <<<"$result" && grep -q '^test .* \.\.\. ok$' <<<"$result"
