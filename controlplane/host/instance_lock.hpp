// SPDX-License-Identifier: Apache-2.0
//
// instance_lock: locks for resources that two running viaductds must not share.
//
// A lock is a file locked by the kernel (fcntl(2)): it is released whenever its holder exits, and
// the kernel knows the holder's pid. The empty file remains and has no meaning by itself.
#pragma once

#include "config/config.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace viaduct {

/// A lock, held for the lifetime of the object. At most one per file in a process, because fcntl
/// locks belong to the process.
class LockFile {
public:
    struct Subject {
        std::string path;   ///< of the lock file
        std::string what;   ///< what it guards, as in "WHAT is in use by ..."
        std::string remedy; ///< what the operator may do instead of stopping the holder
    };

    /// Throws Error naming the process that holds the lock, or when the file system does not
    /// support locks.
    explicit LockFile(const Subject& subject);
    ~LockFile();
    LockFile(const LockFile&) = delete;
    LockFile& operator=(const LockFile&) = delete;

    /// Why there is no lock: the file can neither be opened nor made. Empty: the lock is held.
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
    /// Throws Error when the lock is not held.
    void must_be_held(const Subject& subject) const;

private:
    int fd_ = -1;
    std::string complaint_;
};

/// Returns the path next to the socket, on a file system in memory: files survive us, but not a
/// reboot.
[[nodiscard]] std::string calls_path(const Config& config);

/// All locks that this configuration needs. Taken before any file is written or device touched, so
/// that a refused process has changed nothing.
class InstanceLocks {
public:
    static constexpr const char* kDeviceFolder = "/run/viaduct"; ///< of all viaductds

    /// Throws Error in one line: what is in use, by which process, and what to do.
    explicit InstanceLocks(const Config& config, const std::string& device_folder = kDeviceFolder);

    /// Returns why the state folder is not locked: no file can be made there (read-only, full
    /// disk), so no process can write there either. Empty: it is locked.
    [[nodiscard]] const std::string& unlocked_state() const noexcept { return state_.complaint(); }

private:
    LockFile calls_;
    LockFile state_;
    std::map<std::string, LockFile> devices_; ///< by PCI address
};

/// Returns the process in this network namespace that made a TAP interface. Empty: not visible.
[[nodiscard]] std::optional<int> tap_holder(const std::string& interface);

} // namespace viaduct
