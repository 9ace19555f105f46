// SPDX-License-Identifier: Apache-2.0
//
// files: writes files that must survive us, without making the control thread wait for the disk.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace viaduct {

/// Makes the folders above a file, readable by all whatever the umask. A failure shows when the
/// file is opened.
void make_folders(const std::string& path);

/// A file that is written next to `path` and replaces it in commit(), once it is on the disk. A
/// crash leaves either the whole old file or the whole new one. Mode 0600. Throws Error.
class NewFile {
public:
    explicit NewFile(std::string path);
    ~NewFile(); ///< without commit(): removes the new file
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    void write(std::string_view bytes);
    void commit();

private:
    [[noreturn]] void fail(const char* what) const;

    std::string path_;
    std::string beside_;
    int fd_ = -1;
};

/// Returns the whole file; empty when there is none. Throws Error when it cannot be read, or is
/// larger than `most` bytes.
[[nodiscard]] std::string read_file(const std::string& path, std::size_t most);

/// Renames an unusable file to `path`.refused, replacing an older one, so that it is not
/// overwritten. Returns the result, for the log.
[[nodiscard]] std::string set_aside(const std::string& path);

/// A thread for jobs that may wait for a disk. The latest job is done; it replaces an earlier one
/// that has not started.
class Errand {
public:
    Errand() = default;
    ~Errand(); ///< waits for pending jobs
    Errand(const Errand&) = delete;
    Errand& operator=(const Errand&) = delete;

    /// Gives the thread a job. The first one starts the thread, so that it runs on the caller's
    /// CPUs.
    void give(std::function<void()> job);
    /// Waits until all jobs are done.
    void finish();
    [[nodiscard]] bool is_busy();
    /// Returns the error of the last job; empty: none.
    [[nodiscard]] std::string complaint();

private:
    void run();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> job_;
    std::string complaint_;
    bool busy_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace viaduct
