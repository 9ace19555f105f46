#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest: the first process of the virtual machine that nic_test.sh boots.
#
#   guest.sh BUILD-FOLDER quick|all MODEL...      what it prints, the host shows; `end STATUS` ends the machine
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
# It lays its machine out anew: never a real one.
refuse() { echo "guest: only for the virtual machine of nic_test.sh" >&2; exit 1; }
(($$ == 1)) || refuse
mount -t proc proc /proc # over the one that 9p shows of the host
grep -qsw viaduct_guest /proc/cmdline || refuse
here=${BASH_SOURCE[0]%/*} build=$1
mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/shm && ln -s /proc/self/fd /dev/fd
for folder in /run /dev/shm; do mount -t tmpfs tmpfs "$folder"; done
mkdir /run/tmp && export TMPDIR=/run/tmp # the tree of the host may lie in /tmp
mkdir -p /lib/modules && mount --bind "$build/vm/kernel/lib/modules" /lib/modules
stty raw -echo </dev/ttyS1
ip link set lo up
for module in virtio_net veth bridge tun sch_ingress cls_matchall uio_pci_generic vfio-pci; do modprobe "$module"; done
echo 160 >/proc/sys/vm/nr_hugepages
echo 1 >/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts # QEMU's IOMMU remaps no interrupts
# DPDK loads every driver there is, which takes an emulated CPU long: these will do.
find /usr/lib/*/dpdk/pmds-* -name 'librte_*' -regextype posix-extended \
    ! -regex '.*/librte_(bus_pci|bus_vdev|mempool_ring|mempool_stack|net_e1000|net_virtio|net_vmxnet3)\.so.*' -delete
"$here/guest_test.sh" "$@" </dev/ttyS1 >/dev/ttyS1 2>&1
echo "end $?" >/dev/ttyS1
while :; do sleep 60; done # the host ends the machine
