using Uml.Core.Cpu.Blocks;

namespace Uml.Core.Cpu.Contract;

/// <summary>Which of the guest's registers a translation has in registers of the host. A block has one translation for each it runs in.</summary>
internal enum Flavor : byte
{
    /// <summary>General registers only.</summary>
    Integer,

    /// <summary>Vector registers and MXCSR too.</summary>
    Vector,

    /// <summary>The x87 and MMX registers as well.</summary>
    X87,
    Count = Translations.Flavors,
}
