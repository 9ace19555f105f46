// SPDX-License-Identifier: Apache-2.0
//
// Two viaductds that would share a folder or a device: the second is refused and touches nothing.
#include "capture.hpp"
#include "control_desk.hpp"
#include "host/instance_lock.hpp"

#include "viaduct/pci_address.hpp"

#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace viaduct::test {

namespace {

struct Folders {
    TemporaryFolder sockets;
    TemporaryFolder states;
    TemporaryFolder devices;

    [[nodiscard]] Config config(const std::string& socket = "a.sock",
                                const std::string& device = "0000:17:00.0") const {
        Config made = desk_config();
        made.socket = sockets / socket;
        made.state = states / "state";
        made.ports[0].device = device;
        return made;
    }
    ~Folders() {
        unlink((states / "state" + "/state.lock").c_str());
        rmdir((states / "state").c_str());
    }
    Folders() = default;
    Folders(const Folders&) = delete;
    Folders& operator=(const Folders&) = delete;
};

std::string refusal_of(const Config& config, const std::string& devices) {
    try {
        const InstanceLocks locks(config, devices);
        return locks.unlocked_state();
    } catch (const Error& error) {
        return error.what();
    }
}

/// Another process that holds the locks of a configuration until it is killed.
class Holder {
public:
    Holder(const Config& config, const std::string& devices) {
        std::array<int, 2> ready{};
        if (pipe(ready.data()) != 0) std::abort();
        pid_ = fork();
        if (pid_ == 0) {
            const InstanceLocks locks(config, devices);
            if (write(ready[1], "+", 1) == 1)
                for (;;)
                    pause();
            _exit(1);
        }
        close(ready[1]);
        char byte = 0;
        EXPECT_EQ(read(ready[0], &byte, 1), 1) << "the first gets its locks";
        close(ready[0]);
    }
    ~Holder() { kill_it(); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    void kill_it() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    [[nodiscard]] std::string name() const {
        return "is in use by a running viaductd (pid " + std::to_string(pid_) + "); stop it, or ";
    }

private:
    pid_t pid_ = 0;
};

TEST(InstanceLocks, RefuseASecondTableOfCallsInOneFolder) {
    const Folders folders;
    const Holder first(folders.config(), folders.devices / "");
    Config second = folders.config("b.sock", "net_null0");
    second.state = folders.sockets / "other";
    EXPECT_EQ(refusal_of(second, folders.devices / ""),
              "the call table " + folders.sockets / "calls" + " " + first.name() +
                  "give this one a socket in its own folder (control.socket)");
}

TEST(InstanceLocks, RefuseASecondStateInOneFolder) {
    const Folders folders;
    const TemporaryFolder other;
    const Holder first(folders.config(), folders.devices / "");
    Config second = folders.config("b.sock", "net_null0");
    second.socket = other / "b.sock";
    EXPECT_EQ(refusal_of(second, folders.devices / ""),
              "the state folder " + second.state + " " + first.name() +
                  "give this one its own folder (control.state)");
    second.state += "/../state/."; // by whatever name
    EXPECT_NE(refusal_of(second, folders.devices / "").find(first.name()), std::string::npos);
}

TEST(InstanceLocks, RefuseASecondUserOfADeviceHoweverItIsSpelt) {
    const Folders folders;
    const Holder first(folders.config("a.sock", "0000:17:0A.0,foo=1"), folders.devices / "");
    for (const char* device : {"0000:17:0a.0",
                               "17:0a.0",
                               "0:17:a.0",
                               "pci:0000:17:0A.0",
                               "net_bonding0,mode=1,slave=0000:18:00.0,slave=0000:17:0a.0"}) {
        const Folders other;
        const Config second = other.config("a.sock", device);
        EXPECT_EQ(refusal_of(second, folders.devices / ""),
                  "port p0: the device 0000:17:0a.0 " + first.name() +
                      "give this port another device")
            << device;
    }
    for (const char* device : {"0000:17:0a.1", "1:17:0a.0", "net_af_packet0,iface=eth1"}) {
        const Folders other;
        EXPECT_EQ(refusal_of(other.config("a.sock", device), folders.devices / ""), "") << device;
    }
}

TEST(InstanceLocks, GoWithTheirHolder) {
    const Folders folders;
    Holder first(folders.config(), folders.devices / "");
    first.kill_it();
    EXPECT_EQ(refusal_of(folders.config(), folders.devices / ""), "");
    EXPECT_EQ(refusal_of(folders.config(), folders.devices / ""), "") << "a second time";
}

TEST(InstanceLocks, LetOneProcessHaveADeviceTwice) { // "--check" speaks of that
    const Folders folders;
    Config config = folders.config();
    config.ports.push_back(config.ports[0]);
    EXPECT_EQ(refusal_of(config, folders.devices / ""), "");
}

TEST(InstanceLocks, WhoIsRefusedHasWrittenNothing) {
    const Folders folders;
    const TemporaryFolder states;
    Config held = folders.config();
    const Holder first(held, folders.devices / "");
    Config second = folders.config("b.sock");
    second.state = states / "state";
    ASSERT_NE(refusal_of(second, folders.devices / ""), "");
    for (const std::string& name : folders.sockets.names())
        EXPECT_EQ(name, "calls.lock");
    struct stat status {};
    ASSERT_EQ(stat((folders.sockets / "calls.lock").c_str(), &status), 0);
    EXPECT_EQ(status.st_size, 0);
    unlink((states / "state" + "/state.lock").c_str());
    rmdir((states / "state").c_str());
}

TEST(InstanceLocks, NameWhatIsInTheWayOfALock) {
    const Folders folders;
    const std::string lock = folders.sockets / "calls.lock";
    const auto refusal = [&] { return refusal_of(folders.config(), folders.devices / ""); };
    ASSERT_EQ(symlink((folders.sockets / "elsewhere").c_str(), lock.c_str()), 0);
    EXPECT_EQ(refusal(),
              "the call table " + folders.sockets / "calls" + " cannot be locked: " + lock +
                  " is a symbolic link, remove it; give this one a socket in its own folder "
                  "(control.socket)");
    EXPECT_EQ(access((folders.sockets / "elsewhere").c_str(), F_OK), -1) << "nor is it followed";
    unlink(lock.c_str());
    ASSERT_EQ(mkfifo(lock.c_str(), 0600), 0);
    EXPECT_NE(refusal().find(lock + " is not a regular file, remove it"), std::string::npos);
    unlink(lock.c_str());
    ASSERT_EQ(mkdir(lock.c_str(), 0700), 0);
    EXPECT_NE(refusal().find("cannot be locked: cannot open " + lock + ": Is a directory"),
              std::string::npos);
    rmdir(lock.c_str());
    EXPECT_EQ(refusal(), "");
}

TEST(InstanceLocks, AStateFolderThatNobodyCanWriteIsNotLocked) {
    const Folders folders;
    Config config = folders.config();
    config.state = "/proc/viaduct"; // root cannot, either
    EXPECT_EQ(refusal_of(config, folders.devices / ""),
              "cannot open /proc/viaduct/state.lock: No such file or directory");
}

TEST(PciAddresses, AreFoundAndSpeltInOneWay) {
    const std::vector<std::string> none;
    EXPECT_EQ(pci_addresses("0000:AB:1f.7"), std::vector<std::string>{"0000:ab:1f.7"});
    EXPECT_EQ(pci_addresses("10000:01:00.0"), std::vector<std::string>{"10000:01:00.0"});
    EXPECT_EQ(pci_addresses("0:0:3.0"), std::vector<std::string>{"0000:00:03.0"});
    for (const char* device : {"net_af_packet0,iface=eth1",
                               "net_tap0,mac=02:00:00:00:00:01",
                               "0000:17:20.0",
                               "0000:17:00.8",
                               "0000:100:00.0",
                               "17.0",
                               "17:00",
                               "17:00.",
                               ":.:.",
                               "198.51.100.1:5060",
                               ""})
        EXPECT_EQ(pci_addresses(device), none) << device;
}

} // namespace

} // namespace viaduct::test
