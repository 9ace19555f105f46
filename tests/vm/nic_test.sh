#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# nic_test: viaductd on PCI NICs that QEMU emulates, driven by DPDK's own drivers.
#
#   nic_test.sh BUILD-FOLDER             what scripts/test wants: e1000e, and of e1000 what is refused
#   nic_test.sh BUILD-FOLDER MODEL...    everything on these: virtio vmxnet3 e1000 e1000e igb
#
# Boots one virtual machine with a pair of NICs of each model. Its root is this machine's own, read only by 9p
# under an overlay in memory, so that what was built here runs there; only the kernel is another, Debian's,
# fetched by apt into BUILD-FOLDER/vm. guest.sh makes the lab of scripts/lab.sh in it and does the testing; here
# QEMU is started, asked for link changes, and ended. Exit 0 passed, 1 failed, 77 skipped.
set -u
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
. "$here/../../scripts/packages"

skip() { echo "skipped: $*" >&2; exit 77; }
die() { echo "FAILED: $*" >&2; exit 1; }
((EUID == 0)) || skip "the virtual machine shares this machine's root folder: that needs root"
for tool in qemu-system-x86_64 busybox modprobe depmod; do
    command -v "$tool" >/dev/null || skip "$tool is not installed (PACKAGES_VM in scripts/packages)"
done
build=$(realpath "${1:?usage: $0 BUILD-FOLDER [MODEL...]}")
shift
models=("$@") scope=all cpus=3 seconds=900
((${#models[@]})) || models=(e1000e e1000) scope=quick cpus=2 seconds=380
cache=$build/vm

# fetch_kernel: Debian's kernel in $cache/kernel, once.
fetch_kernel() {
    local package part=$cache/kernel.part
    [[ ! -e $cache/kernel ]] || return 0
    rm -rf "$part"
    mkdir -p "$part"
    package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    (cd "$part" && apt-get -q download "${package:-linux-image-amd64}") >"$cache/apt" 2>&1 || return 1
    dpkg-deb --fsys-tarfile "$part"/*.deb |
        tar -x -C "$part" --wildcards './boot/vmlinuz*' './lib/modules/*/modules.*' \
            './lib/modules/*/kernel/'{crypto,drivers/{block,net,uio,vfio,virtio},fs,lib,net,virt}/'*' || return 1
    rm "$part"/*.deb
    depmod -b "$part" "$(ls "$part/lib/modules")"
    mv "$part" "$cache/kernel" # whole, or not at all
}

# make_initrd FILE: mounts the root, and hands over to guest.sh.
make_initrd() {
    local tree=$work/initrd module version
    version=$(ls "$cache/kernel/lib/modules")
    mkdir -p "$tree"/{bin,modules,proc,sys,dev,lower,upper,root}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    for module in virtio_pci 9pnet_virtio 9p overlay; do
        modprobe -d "$cache/kernel" -S "$version" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/modules"
    {
        printf '%s\n' '#!/bin/busybox sh' '/bin/busybox --install -s /bin' \
            'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev'
        while read -r module; do
            cp "$module" "$tree/modules/"
            echo "insmod /modules/${module##*/}"
        done <"$work/modules"
        printf '%s\n' \
            'mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 root /lower' \
            'mount -t tmpfs upper /upper; mkdir /upper/files /upper/work' \
            'mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root' \
            'umount /sys /proc' "exec switch_root /root $here/guest.sh $build $scope ${models[*]}"
    } >"$tree/init"
    chmod +x "$tree/init"
    (cd "$tree" && find . | busybox cpio -o -H newc 2>"$work/cpio" | gzip -1) >"$1"
}

# nic MODEL N ADDRESS: QEMU's arguments for a NIC on hub N.
nic() {
    local bus="" model=$1 id=$1$2
    [[ $1 != virtio ]] || model=virtio-net-pci,iommu_platform=on,disable-legacy=on
    if [[ $1 == igb ]]; then # its virtual functions would take the slots of bus 0
        echo "-device pcie-root-port,id=root$2,chassis=$2,addr=$3"
        bus=",bus=root$2"
        set -- "$1" "$2" 0
    fi
    echo "-netdev hubport,id=hub-$id,hubid=$2 -device $model,id=$id,netdev=hub-$id,addr=$3$bus"
}

mkdir -p "$cache"
fetch_kernel || skip "apt cannot fetch Debian's kernel: $(tail -n 1 "$cache/apt")"
if [[ " ${models[*]} " == *" igb "* ]] && ! qemu-system-x86_64 -device help 2>&1 | grep -q '"igb"'; then
    echo "skipped: igb: this QEMU has none ($(qemu-system-x86_64 --version | head -n 1)); 8.0 and later have"
    for i in "${!models[@]}"; do [[ ${models[i]} != igb ]] || unset "models[i]"; done
    models=("${models[@]}")
    ((${#models[@]})) || exit 77
fi

work=$(mktemp -d)
qemu=""
finish() {
    trap '' INT TERM HUP
    [[ -z $qemu ]] || { kill -KILL "$qemu" && wait "$qemu"; } 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
make_initrd "$work/initrd.gz"

nics=() slot=4
for model in "${models[@]}"; do
    for hub in 0 1; do
        # shellcheck disable=SC2207 # words
        nics+=($(nic "$model" "$hub" "$(printf '0x%x' "$slot")"))
        ((++slot))
    done
done
for hub in 0 1; do # the far ends: the kernel's virtio_net, at 00:18.0 and 00:19.0
    nics+=(-netdev "hubport,id=hub-far$hub,hubid=$hub"
        -device "virtio-net-pci,id=far$hub,netdev=hub-far$hub,addr=$(printf '0x%x' $((0x18 + hub)))")
done
mkfifo "$work/tty.in" "$work/tty.out"
# 9p: security_model none, read only: the guest sees what root sees and changes nothing.
qemu-system-x86_64 -machine q35,kernel-irqchip=split -accel tcg,thread=multi -cpu max -smp "$cpus" -m 2G -nodefaults -display none -no-reboot \
    -device intel-iommu,intremap=off,caching-mode=on \
    -kernel "$cache"/kernel/boot/vmlinuz-* -initrd "$work/initrd.gz" \
    -append "console=ttyS0 viaduct_guest quiet mitigations=off panic=-1 intel_iommu=on iommu=pt" \
    -serial "file:$work/console" -serial "pipe:$work/tty" -monitor "unix:$work/monitor,server=on,wait=off" \
    -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,fsdev=root,mount_tag=root,addr=0x1d "${nics[@]}" >"$work/qemu" 2>&1 &
qemu=$!
exec 8<>"$work/tty.in" 9<>"$work/tty.out"

monitor() { echo "$1" | socat -t 1 - "UNIX-CONNECT:$work/monitor" >"$work/said"; }
end=$((SECONDS + ${VM_SECONDS:-seconds})) status=""
while ((SECONDS < end)); do
    kill -0 "$qemu" 2>/dev/null || break
    IFS= read -r -t 1 -u 9 line || continue
    line=${line%$'\r'}
    case $line in
    "set_link "*)
        monitor "$line"
        echo "done" >&8
        ;;
    "end "*)
        status=${line#end }
        break
        ;;
    *) echo "$line" ;;
    esac
done
[[ $status == 0 ]] && exit 0
[[ -n $status ]] || { echo "the guest's console ends with:"; tail -n 30 "$work/console"; tail -n 5 "$work/qemu"; } >&2
die "NICs ${models[*]}: $([[ -n $status ]] && echo "the guest says so above" || echo "no result within the time")"
