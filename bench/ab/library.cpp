// SPDX-License-Identifier: Apache-2.0
#include "library.hpp"

#include <dlfcn.h>
#include <stdexcept>

namespace viaduct::bench {

Library::Library(const std::string& path) : path_(path) {
    handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) throw std::runtime_error(::dlerror());
    try {
        const std::uint32_t version = find<AbVersion>("ab_version")();
        if (version != kAbVersion)
            throw std::runtime_error(path + ": made for version " + std::to_string(version) +
                                     " of bench/ab/side.hpp, this is " +
                                     std::to_string(kAbVersion) + ": remove it and build it again");
        prepare_ = find<AbPrepare>("ab_prepare");
        run_ = find<AbRun>("ab_run");
        release_ = find<AbRelease>("ab_release");
    } catch (...) {
        ::dlclose(handle_);
        throw;
    }
}

Library::~Library() {
    release();
    ::dlclose(handle_);
}

void Library::prepare(const AbLoad& load) {
    release();
    prepared_ = prepare_(&load);
    if (prepared_ == nullptr) throw std::runtime_error(path_ + " cannot prepare a load");
}

void Library::release() {
    if (prepared_ != nullptr) release_(prepared_);
    prepared_ = nullptr;
}

template <typename Function> Function* Library::find(const char* name) {
    void* found = ::dlsym(handle_, name);
    if (found == nullptr) throw std::runtime_error(path_ + " has no function " + name);
    return reinterpret_cast<Function*>(found);
}

} // namespace viaduct::bench
