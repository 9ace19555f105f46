// SPDX-License-Identifier: Apache-2.0
//
// Whatever is wrong with a PCI device, one line names the state it is in and what to do. The
// kernel's view is a folder made here.
#include "shell/port_advice.hpp"

#include "viaduct/error.hpp"
#include "viaduct/pci_address.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace viaduct::test {
namespace {

constexpr const char* kEthernet = "0x020000";

/// Each of `parts` stands in the text, or does not when a `!` is in front of it.
void expect_says(const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
        const bool is_wanted = part.front() != '!';
        const bool is_there = text.find(is_wanted ? part : part.substr(1)) != std::string::npos;
        EXPECT_EQ(is_there, is_wanted) << part << " in: " << text;
    }
}

/// A folder such as /sys.
class Sysfs : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/viaduct-sysfs-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        root_ = name;
        folder("/bus/pci/devices");
        folder("/bus/pci/drivers");
        folder("/kernel/iommu_groups");
    }
    void TearDown() override {
        const std::string command = "rm -rf " + root_;
        ASSERT_EQ(std::system(command.c_str()), 0);
    }

    void folder(const std::string& path) const {
        for (std::size_t at = path.find('/', 1); at != std::string::npos;
             at = path.find('/', at + 1))
            mkdir((root_ + path.substr(0, at)).c_str(), 0755);
        mkdir((root_ + path).c_str(), 0755);
    }
    void file(const std::string& path, const std::string& text) const {
        folder(path.substr(0, path.rfind('/')));
        const int fd = open((root_ + path).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        ASSERT_GE(fd, 0);
        EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        close(fd);
    }
    /// `driver` empty: bound to none.
    void device(const std::string& address,
                const std::string& driver,
                const std::string& ids = "8086:10d3",
                const std::string& device_class = kEthernet) const {
        const std::string path = "/bus/pci/devices/" + address;
        file(path + "/vendor", "0x" + ids.substr(0, 4) + "\n");
        file(path + "/device", "0x" + ids.substr(5) + "\n");
        file(path + "/class", device_class + "\n");
        if (driver.empty()) return;
        folder("/bus/pci/drivers/" + driver);
        EXPECT_EQ(symlink(("../../drivers/" + driver).c_str(), (root_ + path + "/driver").c_str()),
                  0);
    }
    void group(const std::string& address, const std::string& type) const {
        folder("/kernel/iommu_groups/3");
        file("/kernel/iommu_groups/3/type", type + "\n");
        EXPECT_EQ(symlink("../../../../kernel/iommu_groups/3",
                          (root_ + "/bus/pci/devices/" + address + "/iommu_group").c_str()),
                  0);
    }
    void huge_pages(unsigned all, unsigned free) const {
        const std::string path = "/kernel/mm/hugepages/hugepages-2048kB";
        file(path + "/nr_hugepages", std::to_string(all) + "\n");
        file(path + "/free_hugepages", std::to_string(free) + "\n");
    }
    [[nodiscard]] std::string why(const std::string& device, const char* cause = "EAL: no") const {
        return why_not_opened(root_, device, cause);
    }
    /// What choose_memory refuses with; empty: nothing.
    [[nodiscard]] std::string refusal(MemoryKind kind, const std::string& physical) const {
        try {
            static_cast<void>(choose_memory(root_, kind, 192, physical));
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }
    std::string root_;
};

TEST(PciAddress, IsReadInEverySpellingAndWrittenInTheKernels) {
    EXPECT_EQ(pci_address("0000:17:00.0"), "0000:17:00.0");
    EXPECT_EQ(pci_address("17:00.0"), "0000:17:00.0");
    EXPECT_EQ(pci_address("0000:AF:1F.7"), "0000:af:1f.7");
    EXPECT_EQ(pci_address("10000:1:2.3"), "10000:01:02.3");
    for (const char* none : {"",
                             "17:00",
                             "0000:17:00",
                             "0000:17:20.0",
                             "0000:17:00.8",
                             "17.00.0",
                             "0000:17:00.0x",
                             "0000:17:00.",
                             "net_tap0",
                             "0:0:0:0.0",
                             ":1.0",
                             "-1:0.0"})
        EXPECT_EQ(pci_address(none), "") << none;
    EXPECT_EQ(device_name("AF:0.1,arg=1"), "0000:af:00.1");
    EXPECT_EQ(device_name("pci:0000:af:00.1"), "0000:af:00.1");
    EXPECT_EQ(device_name("net_af_packet0,iface=eth1"), "net_af_packet0");
    EXPECT_EQ(pci_addresses("net_bonding0,slave=0:4:0.0,slave=0000:04:00.1").size(), 2U);
}

TEST_F(Sysfs, AnAddressThatIsNotThereIsSaidSoWithTheNearestThatIs) {
    device("0000:00:09.0", "uio_pci_generic");
    device("0000:00:0d.0", "virtio-pci", "1af4:1009", "0x018000");
    expect_says(why("0000:00:08.0"),
                {"no such address: 0000:00:08.0", "did you mean 0000:00:09.0?"});
    expect_says(why("0:0:0c.0"),
                {"no such address: 0000:00:0c.0", "did you mean 0000:00:09.0?"}); // not the disk
    expect_says(why("0000:00:09"), {"0000:00:09 is not a PCI address; did you mean 0000:00:09.0?"});
    expect_says(why("00:09"), {"did you mean 0000:00:09.0?"});
    expect_says(why("0000:00:09:0"), {"did you mean 0000:00:09.0?"});
    expect_says(why("0001:b3:11.5"), {"the network devices here are 0000:00:09.0"});
}

TEST_F(Sysfs, WithoutAnyNetworkDeviceThatIsSaid) {
    device("0000:00:0d.0", "virtio-pci", "1af4:1009", "0x018000");
    expect_says(why("0000:00:09.0"), {"this machine has no PCI network device"});
}

TEST_F(Sysfs, ADeviceWithoutDriverIsNotBound) {
    device("0000:00:07.0", "");
    group("0000:00:07.0", "DMA");
    expect_says(why("0000:00:07.0", "EAL: Cannot find device (0000:00:07.0)"),
                {"not bound",
                 "dpdk-devbind.py -b vfio-pci 0000:00:07.0",
                 "!Cannot find",
                 "!uio_pci_generic"});
}

TEST_F(Sysfs, WithoutAnIommuTheOtherDriverIsNamed) {
    device("0000:00:07.0", "");
    expect_says(why("0000:00:07.0"), {"or use uio_pci_generic and huge pages"});
}

TEST_F(Sysfs, TheKernelsDriverAndInterfaceAreNamed) {
    device("0000:00:07.0", "e1000");
    folder("/bus/pci/devices/0000:00:07.0/net/eth1");
    device("0000:00:08.0", "virtio-pci", "1af4:1000");
    folder("/bus/pci/devices/0000:00:08.0/virtio3/net/ens8");
    expect_says(why("00:07.0"),
                {"driver in use: the kernel driver e1000 uses 0000:00:07.0 as interface eth1",
                 "dpdk-devbind.py -b vfio-pci 0000:00:07.0"});
    expect_says(
        why("0000:00:08.0", "eth_virtio_pci_init(): Failed to init PCI device"),
        {"the kernel driver virtio-pci uses 0000:00:08.0 as interface ens8", "!Failed to init"});
}

TEST_F(Sysfs, WhatIsNoNetworkDeviceIsSaidSo) {
    device("0000:00:09.0", "vfio-pci");
    device("0000:00:1e.0", "virtio-pci", "1af4:1001", "0x010000");
    expect_says(why("0000:00:1e.0"),
                {"0000:00:1e.0 is not a network device (a disk, class 0x010000)"});
}

TEST_F(Sysfs, TroubleWithVfioLeadsToTheKernelsLog) {
    device("0000:00:05.0", "vfio-pci");
    expect_says(why("0000:00:05.0"), {"enable_unsafe_noiommu_mode"});
    group("0000:00:05.0", "DMA");
    expect_says(why("0000:00:05.0", "EAL: 0000:00:05.0 failed to select IOMMU type"),
                {"failed to select IOMMU type", "dmesg", "allow_unsafe_interrupts"});
    expect_says(why("0000:00:05.0", "EAL: Cannot open /dev/vfio/3: Device or resource busy"),
                {"another process uses it", "fuser /dev/vfio/3"});
    expect_says(why("0000:00:05.0", "EAL: 0000:00:05.0 VFIO group is not viable!"),
                {"iommu_group/devices"});
}

TEST_F(Sysfs, ABoundDeviceThatDpdkDoesNotKnowIsNamedByItsIds) {
    device("0000:00:05.0", "uio_pci_generic", "10ec:8168");
    expect_says(why("0000:00:05.0"), {"10ec:8168"});
}

TEST_F(Sysfs, AVirtualDeviceKeepsDpdksOwnWords) {
    expect_says(why("net_nothing0", "EAL: failed to parse device"),
                {"failed to parse device", "net_af_packet0,iface=eth1"});
}

// The mode follows the devices: what DPDK cannot give virtual addresses gets physical ones.
TEST_F(Sysfs, UioAndVfioWithoutIommuWantPhysicalAddresses) {
    device("0000:00:05.0", "uio_pci_generic");
    device("0000:00:06.0", "vfio-pci");
    device("0000:00:07.0", "igb_uio");
    EXPECT_EQ(wants_physical_addresses(root_, "0:5.0,arg=1"),
              "0000:00:05.0 is bound to uio_pci_generic");
    EXPECT_EQ(wants_physical_addresses(root_, "0000:00:07.0"), "0000:00:07.0 is bound to igb_uio");
    EXPECT_EQ(wants_physical_addresses(root_, "net_bonding0,slave=0000:00:05.0"),
              "0000:00:05.0 is bound to uio_pci_generic");
    EXPECT_EQ(wants_physical_addresses(root_, "0000:00:06.0"), "");
    EXPECT_EQ(wants_physical_addresses(root_, "net_af_packet0,iface=eth1"), "");
    file("/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
    EXPECT_EQ(wants_physical_addresses(root_, "0000:00:06.0"), "");
    file("/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    EXPECT_EQ(wants_physical_addresses(root_, "0000:00:06.0"),
              "0000:00:06.0 is bound to vfio-pci without an IOMMU");
}

TEST_F(Sysfs, UioBehindAnIommuThatTranslatesIsRefused) {
    device("0000:00:05.0", "uio_pci_generic");
    EXPECT_EQ(unreachable_memory(root_, "0000:00:05.0"), "");
    group("0000:00:05.0", "identity");
    EXPECT_EQ(unreachable_memory(root_, "0000:00:05.0"), "");
    for (const char* type : {"DMA", "DMA-FQ"}) {
        file("/kernel/iommu_groups/3/type", type);
        expect_says(unreachable_memory(root_, "00:05.0"), {"iommu=pt", "-b vfio-pci 0000:00:05.0"});
    }
}

TEST_F(Sysfs, PhysicalAddressesNeedHugePagesAndSaySo) {
    huge_pages(40, 16);
    const std::string physical = "port p0: 0000:00:05.0 is bound to uio_pci_generic";
    expect_says(refusal(MemoryKind::Auto, physical),
                {physical,
                 "needs physical addresses: set vm.nr_hugepages=120",
                 "32 MB of huge pages are free, 192 MB are needed",
                 "an IOMMU and vfio-pci"});
    expect_says(refusal(MemoryKind::HugePages, physical), {"needs physical addresses"});
    expect_says(refusal(MemoryKind::Ordinary, physical),
                {"dataplane.memory is \"ordinary\"", "auto"});
    huge_pages(120, 96);
    EXPECT_EQ(refusal(MemoryKind::Auto, physical), "");
    EXPECT_TRUE(choose_memory(root_, MemoryKind::Auto, 192, physical).is_huge);
}

TEST_F(Sysfs, WithoutPhysicalAddressesTheMemoryIsWhatWasAskedFor) {
    EXPECT_FALSE(choose_memory(root_, MemoryKind::Auto, 192, "").is_huge);
    expect_says(choose_memory(root_, MemoryKind::Auto, 192, "").lack, {"0 MB of huge pages"});
    expect_says(refusal(MemoryKind::HugePages, ""), {"set vm.nr_hugepages=96"});
    huge_pages(96, 96);
    EXPECT_TRUE(choose_memory(root_, MemoryKind::Auto, 192, "").is_huge);
    EXPECT_FALSE(choose_memory(root_, MemoryKind::Ordinary, 192, "").is_huge);
    EXPECT_EQ(choose_memory(root_, MemoryKind::Ordinary, 192, "").lack, "");
}

TEST_F(Sysfs, ChipsWithOneQueueAreKnownWhateverTheirDriverClaims) {
    device("0000:00:05.0", "vfio-pci", "8086:100e"); // 82540EM
    device("0000:00:06.0", "vfio-pci", "8086:100f"); // 82545EM
    device("0000:00:07.0", "vfio-pci", "8086:10d3"); // 82574L
    device("0000:00:08.0", "vfio-pci", "10ec:100e");
    constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();
    EXPECT_EQ(served_queues(read_pci_device(root_, "0000:00:05.0")), 1U);
    EXPECT_EQ(served_queues(read_pci_device(root_, "0000:00:06.0")), 1U);
    EXPECT_EQ(served_queues(read_pci_device(root_, "0000:00:07.0")), kAny);
    EXPECT_EQ(served_queues(read_pci_device(root_, "0000:00:08.0")), kAny);
    EXPECT_EQ(served_queues(read_pci_device(root_, "net_af_packet0")), kAny);
}

TEST(PortAdvice, MoreQueuesAreAdvisedWhereTheDriverCanHaveThem) {
    expect_says(more_queues("net_af_packet", 1, 3), {"qpairs=3", "dataplane.workers to 1"});
    expect_says(more_queues("net_e1000_em", 2, 3), {"!qpairs", "dataplane.workers to 2"});
    expect_says(more_queues("net_virtio", 1, 2), {"!qpairs", "mq=on,vectors=6", "queues=2"});
}

TEST(PortAdvice, AVirtioNicWithoutControlQueueIsNamedSo) {
    expect_says(
        why_not_started("net_virtio", "virtio_send_command(): Control queue is not supported."),
        {"ctrl_vq=on"});
    EXPECT_EQ(why_not_started("net_ixgbe", "x"), "x");
}

TEST(PortAdvice, TheNoteOnQueuesSaysWhoReceivesWhat) {
    const HashAbility all{true, true};
    const HashAbility addresses{false, true};
    EXPECT_EQ(spread_note("net_ice", all, 4, 4), "");
    EXPECT_EQ(spread_note("net_e1000_em", {}, 1, 1), "");
    expect_says(spread_note("net_ice", all, 2, 4), {"the first 2 of 4 workers"});
    expect_says(spread_note("net_ice", all, 1, 2), {"worker 0 receives all packets"});
    expect_says(spread_note("net_vmxnet3", addresses, 2, 2), {"by addresses only"});
    expect_says(spread_note("net_e1000_em", {}, 2, 2), {"worker 0 receives all packets"});
    expect_says(spread_note("net_virtio", {}, 2, 2), {"chooses the queue of each packet"});
    expect_says(spread_note("net_af_packet", {}, 2, 2), {"chooses the queue of each packet"});
}

} // namespace
} // namespace viaduct::test
