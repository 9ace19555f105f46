// SPDX-License-Identifier: Apache-2.0
//
// instance_lock: what two running viaductds must not share, and the locks that keep them apart.
//
// A lock is a file that the kernel locks (fcntl(2)): it goes with its holder, however that ends,
// and the kernel says who the holder is. The file stays where it is, empty, and means nothing
// alone.
#pragma once

#include "config/config.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace viaduct {

/// One lock, held as long as this lives. Once per file and process: fcntl's locks are the
/// process's.
class LockFile {
public:
    struct Subject {
        std::string path;   ///< of the file
        std::string what;   ///< that it guards, as in "WHAT is held by ..."
        std::string remedy; ///< what the operator may do instead of stopping the holder
    };

    /// Throws Error when another process holds the lock, naming it, or when the file system has no
    /// locks.
    explicit LockFile(const Subject& subject);
    ~LockFile();
    LockFile(const LockFile&) = delete;
    LockFile& operator=(const LockFile&) = delete;

    /// Why there is no lock: the file can neither be opened nor made. Empty: it is held.
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
    /// Throws Error if so.
    void must_be_held(const Subject& subject) const;

private:
    int fd_ = -1;
    std::string complaint_;
};

/// Beside the socket, which is on a file system in memory: what is there outlives us, not the boot.
[[nodiscard]] std::string calls_path(const Config& config);

/// All that this configuration needs for itself. Taken before anything is written or any device is
/// touched, so that who is refused has changed nothing.
class InstanceLocks {
public:
    static constexpr const char* kDeviceFolder = "/run/viaduct"; ///< of all viaductds of a host

    /// Throws Error in one line: what is held, by whom, what to do.
    explicit InstanceLocks(const Config& config, const std::string& device_folder = kDeviceFolder);

    /// A state folder in which no file can be made (read-only, full disk) is not locked, because
    /// nobody can write there: the reason. Empty: it is locked.
    [[nodiscard]] const std::string& unlocked_state() const noexcept { return state_.complaint(); }

private:
    LockFile calls_;
    LockFile state_;
    std::map<std::string, LockFile> devices_; ///< by PCI address
};

/// The process of this network namespace that made a TAP interface. Empty: it cannot be seen.
[[nodiscard]] std::optional<int> tap_holder(const std::string& interface);

} // namespace viaduct
