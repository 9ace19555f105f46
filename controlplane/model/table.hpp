// SPDX-License-Identifier: Apache-2.0
//
// table: set of eligible backends -> slot table. Pure: equal input gives an equal table on every
// machine, in integer arithmetic alone.
#pragma once

#include "viaduct/snapshot.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

struct Candidate {
    BackendId id{};
    std::string name;    ///< determines the slots, with weight and secret; the id does not
    unsigned weight = 1; ///< at least 1
};

/// Fills every slot by weighted rendezvous hashing. Adding one of N backends moves exactly its
/// share of the slots; removing one moves only its own. Null for no candidates.
[[nodiscard]] std::shared_ptr<const SlotTable>
build_rendezvous(const std::vector<Candidate>& candidates, const SteeringSecret& secret);

/// Fills the slots as Maglev does (Eisenbud et al., NSDI 2016), by weight. Every share is exact to
/// one slot, but a change also moves some slots between remaining backends. Null for no candidates.
[[nodiscard]] std::shared_ptr<const SlotTable>
build_maglev(const std::vector<Candidate>& candidates, const SteeringSecret& secret);

struct TableAlgorithm {
    TableKind kind;
    std::shared_ptr<const SlotTable> (*build)(const std::vector<Candidate>&, const SteeringSecret&);
};
/// Indexed by TableKind.
inline constexpr std::array<TableAlgorithm, count_of<TableKind>()> kTableAlgorithms{{
    {TableKind::Rendezvous, build_rendezvous},
    {TableKind::Maglev, build_maglev},
}};
static_assert(rows_in_order(kTableAlgorithms, &TableAlgorithm::kind));
[[nodiscard]] constexpr const TableAlgorithm& algorithm(TableKind kind) noexcept {
    return kTableAlgorithms[static_cast<std::size_t>(kind)];
}

/// Returns 16 hex digits, equal on two balancers that steer the same way (names count, ids do not),
/// or "-" for no table.
[[nodiscard]] std::string table_digest(const SlotTable* table,
                                       const std::vector<Candidate>& candidates);

} // namespace viaduct
