// SPDX-License-Identifier: Apache-2.0
#include "files.hpp"

#include "viaduct/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace viaduct {

namespace {

/// Makes sure that the new name is on the disk as well.
void sync_folder(const std::string& path) {
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

} // namespace

void make_folders(const std::string& path) {
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        if (const std::string folder = path.substr(0, at); mkdir(folder.c_str(), 0755) == 0)
            chmod(folder.c_str(), 0755);
}

NewFile::NewFile(std::string path) : path_(std::move(path)), beside_(path_ + ".new") {
    make_folders(path_);
    fd_ = open(beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0) fail("write");
}

NewFile::~NewFile() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(beside_.c_str());
}

void NewFile::fail(const char* what) const {
    throw Error(std::string("cannot ") + what + " " + beside_ + ": " + std::strerror(errno));
}

void NewFile::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail("write");
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void NewFile::commit() {
    if (fsync(fd_) != 0) fail("write");
    if (rename(beside_.c_str(), path_.c_str()) != 0) fail("rename");
    close(std::exchange(fd_, -1));
    sync_folder(path_);
}

std::string set_aside(const std::string& path) {
    const std::string aside = path + ".refused";
    if (rename(path.c_str(), aside.c_str()) == 0) return "kept as " + aside;
    return "cannot be kept as " + aside + " (" + std::strerror(errno) + ")";
}

std::string read_file(const std::string& path, std::size_t most) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return {};
    std::string text;
    std::string piece(65'536, '\0');
    ssize_t got = fd < 0 ? -1 : 0;
    while (fd >= 0 && (got = read(fd, piece.data(), piece.size())) > 0 && text.size() <= most)
        text.append(piece, 0, static_cast<std::size_t>(got));
    const int reason = errno;
    if (fd >= 0) close(fd);
    if (got < 0) throw Error(std::string("cannot be read: ") + std::strerror(reason));
    if (text.size() > most) throw Error("too large");
    return text;
}

Errand::~Errand() {
    finish();
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Errand::give(std::function<void()> job) {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    {
        const std::lock_guard lock(mutex_);
        job_ = std::move(job);
    }
    changed_.notify_all();
}

void Errand::finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !job_ && !busy_; });
}

bool Errand::is_busy() {
    const std::lock_guard lock(mutex_);
    return job_ || busy_;
}

std::string Errand::complaint() {
    const std::lock_guard lock(mutex_);
    return complaint_;
}

void Errand::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return job_ || stopping_; });
        if (!job_) return;
        const std::function<void()> job = std::exchange(job_, nullptr);
        busy_ = true;
        lock.unlock();
        std::string complaint;
        try {
            job();
        } catch (const std::exception& error) {
            complaint = error.what();
        }
        lock.lock();
        complaint_ = std::move(complaint);
        busy_ = false;
        changed_.notify_all();
    }
}

} // namespace viaduct
