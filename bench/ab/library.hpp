// SPDX-License-Identifier: Apache-2.0
//
// library: a build under comparison: its shared object, loaded next to others.
#pragma once

#include "side.hpp"

#include <cstdint>
#include <string>

namespace viaduct::bench {

class Library {
public:
    /// Throws std::runtime_error, one line, when the file is no such object.
    explicit Library(const std::string& path);
    ~Library();
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    /// In place of the load before. `load` must stay until the next one. Throws
    /// std::runtime_error when the build refuses it.
    void prepare(const AbLoad& load);
    /// Runs so many units of the load; the checksum of its decisions so far.
    std::uint64_t run(std::uint64_t units) { return run_(prepared_, units); }
    void release();

private:
    template <typename Function> Function* find(const char* name);

    std::string path_;
    void* handle_ = nullptr;
    void* prepared_ = nullptr;
    AbPrepare* prepare_ = nullptr;
    AbRun* run_ = nullptr;
    AbRelease* release_ = nullptr;
};

} // namespace viaduct::bench
