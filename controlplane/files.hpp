// SPDX-License-Identifier: Apache-2.0
//
// files: writing what must outlive us, without making anybody wait for the disk.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace viaduct {

/// Makes the folders above a file, for all to look into, whatever the umask. What cannot be made
/// shows when the file is opened.
void make_folders(const std::string& path);

/// A file that is written beside `path` and takes its place by commit(), once the disk has it. A
/// crash leaves the whole old file or the whole new one. Mode 0600. Throws Error.
class NewFile {
public:
    explicit NewFile(std::string path);
    ~NewFile(); ///< without commit(): nothing happened
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

/// The whole file; empty when there is none. Throws Error when it cannot be read, or holds more
/// than `most` bytes.
[[nodiscard]] std::string read_file(const std::string& path, std::size_t most);

/// Moves a file that cannot be used out of the way of the one that is written next: to
/// `path`.refused, in place of an older one. Returns what became of it, for the log.
[[nodiscard]] std::string set_aside(const std::string& path);

/// A thread for what may wait for a disk. The job given last is done; one given before it that has
/// not begun is not.
class Errand {
public:
    Errand() = default;
    ~Errand(); ///< waits for what was given
    Errand(const Errand&) = delete;
    Errand& operator=(const Errand&) = delete;

    /// The thread is made by the first one, so that it runs where its giver runs.
    void give(std::function<void()> job);
    /// Waits until nothing is left to do.
    void finish();
    [[nodiscard]] bool is_busy();
    /// What the last job threw; empty: nothing.
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
