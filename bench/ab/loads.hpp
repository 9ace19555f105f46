// SPDX-License-Identifier: Apache-2.0
//
// loads: what the two builds are given to do. The same numbers give the same bytes on every
// machine.
#pragma once

#include "side.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::bench {

class Load {
public:
    Load(std::string name, AbKind kind) : name_(std::move(name)), kind_(kind) {}

    /// A message, or the frame of a client that brings it to the VIP.
    void add(std::string_view message);
    /// Of numbered calls (invites.hpp), whose messages add() gets then.
    void set_calls(std::uint64_t calls) { calls_ = calls; }
    /// Copies of the last one, until one burst is full.
    void fill_burst();
    /// In the order in which they were added, or in random order. Call it last.
    void in_order();
    /// No item comes twice in one burst; drops the last ones, so that all bursts are full.
    void in_random_order();

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] AbKind kind() const { return kind_; }
    [[nodiscard]] std::size_t size() const { return items_.size(); }
    /// Valid while this object stays where it is, unchanged.
    [[nodiscard]] AbLoad view();
    /// The number of frames whose last run did not send them to a backend, or to one that owns no
    /// call where all calls are known.
    [[nodiscard]] std::size_t astray() const;

private:
    std::string name_;
    AbKind kind_;
    std::uint64_t calls_ = 0;
    std::vector<std::vector<std::byte>> items_;
    std::vector<std::size_t> number_at_; ///< of each item, for numbered calls
    std::vector<std::uint32_t> order_;
    std::vector<std::byte*> data_;
    std::vector<std::uint32_t> sizes_;
    std::vector<std::byte*> numbers_;
};

/// All rows but the worst message. `calls`: in the tables of the stateful ones.
[[nodiscard]] std::vector<Load> make_loads(std::uint64_t calls);

} // namespace viaduct::bench
