// SPDX-License-Identifier: Apache-2.0
#include "host/instance_lock.hpp"

#include "files.hpp"

#include "viaduct/error.hpp"
#include "viaduct/pci_address.hpp"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace viaduct {

namespace {

constexpr int kTries = 8; ///< the holder may exit between two calls

struct flock whole_file() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

std::string holder_of(const struct flock& lock) {
    if (lock.l_pid <= 0) return "by a process of another container or machine";
    return "by a running viaductd (pid " + std::to_string(lock.l_pid) + ")";
}

/// Opens before creating: in a sticky folder the kernel refuses O_CREAT for another user's file.
int open_lock(const std::string& path) {
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    const int fd = open(path.c_str(), kFlags);
    if (fd >= 0 || errno != ENOENT) return fd;
    make_folders(path);
    return open(path.c_str(), kFlags | O_CREAT, 0600);
}

[[noreturn]] void fail(const LockFile::Subject& subject, const std::string& why) {
    throw Error(subject.what + " cannot be locked: " + subject.path + " " + why + "; " +
                subject.remedy);
}

void take(int fd, const LockFile::Subject& subject) {
    for (int tries = 0; tries < kTries; ++tries) {
        struct flock lock = whole_file();
        if (fcntl(fd, F_SETLK, &lock) == 0) return;
        if (errno == EINTR) continue;
        if (errno != EACCES && errno != EAGAIN)
            fail(subject, std::string("does not support locks (") + std::strerror(errno) + ")");
        if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK) continue;
        throw Error(subject.what + " is in use " + holder_of(lock) + "; stop it, or " +
                    subject.remedy);
    }
    fail(subject, "is locked and released repeatedly");
}

} // namespace

LockFile::LockFile(const Subject& subject) : fd_(open_lock(subject.path)) {
    if (fd_ < 0) {
        const int error = errno;
        if (error == ELOOP) fail(subject, "is a symbolic link, remove it");
        complaint_ = "cannot open " + subject.path + ": " + std::strerror(error);
        return;
    }
    try {
        struct stat status {};
        if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode))
            fail(subject, "is not a regular file, remove it");
        take(fd_, subject);
    } catch (...) {
        close(fd_);
        throw;
    }
}

LockFile::~LockFile() {
    if (fd_ >= 0) close(fd_);
}

void LockFile::must_be_held(const Subject& subject) const {
    if (!complaint_.empty())
        throw Error(subject.what + " cannot be locked: " + complaint_ + "; " + subject.remedy);
}

std::string calls_path(const Config& config) {
    return config.socket.substr(0, config.socket.rfind('/') + 1) + "calls";
}

namespace {

LockFile::Subject
device_of(const PortConfig& port, const std::string& address, const std::string& folder) {
    return {folder + "/device-" + address + ".lock",
            "port " + port.name + ": the device " + address,
            "give this port another device"};
}

LockFile::Subject calls_of(const Config& config) {
    const std::string path = calls_path(config);
    return {path + ".lock",
            "the call table " + path,
            "give this one a socket in its own folder (control.socket)"};
}

LockFile::Subject state_of(const Config& config) {
    return {config.state + "/state.lock",
            "the state folder " + config.state,
            "give this one its own folder (control.state)"};
}

} // namespace

InstanceLocks::InstanceLocks(const Config& config, const std::string& device_folder)
    : calls_(calls_of(config)), state_(viaduct::state_of(config)) {
    calls_.must_be_held(calls_of(config));
    for (const PortConfig& port : config.ports)
        for (const std::string& address : pci_addresses(port.device)) {
            const LockFile::Subject subject = device_of(port, address, device_folder);
            devices_.try_emplace(address, subject).first->second.must_be_held(subject);
        }
}

namespace {

/// Returns the numeric names in a folder of /proc; empty when the folder has vanished.
std::vector<std::string> numbers_in(const std::string& folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> files(opendir(folder.c_str()), &closedir);
    std::vector<std::string> numbers;
    while (const dirent* const file = files ? readdir(files.get()) : nullptr)
        if (std::isdigit(static_cast<unsigned char>(file->d_name[0])) != 0)
            numbers.emplace_back(file->d_name);
    return numbers;
}

/// Returns the inode of a process's network namespace; 0: not visible.
ino_t network_of(const std::string& process) {
    struct stat status {};
    return stat(("/proc/" + process + "/ns/net").c_str(), &status) == 0 ? status.st_ino : 0;
}

} // namespace

std::optional<int> tap_holder(const std::string& interface) {
    const ino_t ours = network_of("self");
    for (const std::string& process : numbers_in("/proc")) {
        if (network_of(process) != ours) continue;
        const std::string folder = "/proc/" + process + "/fdinfo/";
        for (const std::string& descriptor : numbers_in(folder)) {
            std::ifstream file(folder + descriptor);
            for (std::string line; std::getline(file, line);)
                if (line == "iff:\t" + interface) return std::stoi(process);
        }
    }
    return std::nullopt;
}

} // namespace viaduct
