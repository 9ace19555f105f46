// SPDX-License-Identifier: Apache-2.0
#include "turns.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sched.h>
#include <stdexcept>
#include <sys/resource.h>

namespace viaduct::bench {

namespace {

using Clock = std::chrono::steady_clock;

double elapsed_ns(Library& library, std::uint64_t units) {
    const auto began = Clock::now();
    (void)library.run(units);
    return std::chrono::duration<double, std::nano>(Clock::now() - began).count();
}

/// How often the kernel has given this thread's CPU to another one.
long interruptions() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

} // namespace

int pin_to_one_cpu() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        throw std::runtime_error(std::string("sched_getaffinity: ") + std::strerror(errno));
    int last = CPU_SETSIZE - 1;
    while (last > 0 && !CPU_ISSET(last, &allowed))
        --last;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    if (::sched_setaffinity(0, sizeof(one), &one) != 0)
        throw std::runtime_error(std::string("sched_setaffinity: ") + std::strerror(errno));
    return last;
}

std::uint64_t Turns::units_of(double chunk_ns) {
    std::uint64_t units = 1;
    double fastest = 0;
    do {
        units *= 2;
        fastest = 1e18;
        for (int i = 0; i < 3; ++i) {
            fastest = std::min(fastest, elapsed_ns(base_, units));
            (void)current_.run(units);
        }
    } while (fastest < chunk_ns / 2 && units < (1U << 30));
    const double one = fastest / static_cast<double>(units);
    return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(chunk_ns / one));
}

Pair Turns::measure_pair(std::uint64_t units, bool base_first) {
    const auto one_ns = [units](Library& library) {
        (void)library.run(std::max<std::uint64_t>(1, units / 5));
        return elapsed_ns(library, units) / static_cast<double>(units * kAbUnit);
    };
    const long before = interruptions();
    Pair pair;
    if (base_first) pair.base_ns = one_ns(base_);
    pair.new_ns = one_ns(current_);
    if (!base_first) pair.base_ns = one_ns(base_);
    pair.is_interrupted = interruptions() != before;
    return pair;
}

std::vector<Pair> Turns::measure_anyway(const Plan& plan) {
    const auto end = Clock::now() + plan.limit;
    const std::uint64_t units = units_of(plan.chunk_ns);
    std::vector<Pair> pairs;
    std::size_t undisturbed = 0;
    while (undisturbed < plan.pairs && (Clock::now() < end || pairs.empty())) {
        pairs.push_back(measure_pair(units, pairs.size() % 2 == 0));
        if (!pairs.back().is_interrupted) ++undisturbed;
    }
    return pairs;
}

std::vector<Pair> Turns::measure(const Plan& plan, const std::string& name) {
    std::vector<Pair> pairs = measure_anyway(plan);
    if (!agree())
        throw std::runtime_error(name + ": the two builds decide differently (checksums " +
                                 std::to_string(base_.run(0)) + " and " +
                                 std::to_string(current_.run(0)) +
                                 "): they cannot be compared until this is explained");
    return pairs;
}

} // namespace viaduct::bench
