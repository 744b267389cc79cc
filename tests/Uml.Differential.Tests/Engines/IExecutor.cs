using Iced.Intel;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Engines;

/// <summary>Something that runs x86 code: the host's processor, the interpreter, later the translator.</summary>
internal interface IExecutor : IDisposable
{
    string Name { get; }

    /// <summary>Whose choices it shows where manuals leave one; <see cref="ProcessorVendor.None"/> when always the model's.</summary>
    ProcessorVendor Vendor => ProcessorVendor.None;

    /// <summary>Whether it runs single instructions of a form.</summary>
    bool Runs(Code form) => true;

    /// <summary>
    /// Places <paramref name="code"/> at the snapshot's RIP within the code page of <see cref="Layout"/>, with exit slots around it,
    /// and runs it at CPL 3 until it reaches an exit slot or raises an exception.
    /// </summary>
    /// <param name="state">The state to start from; afterwards the state it ended with.</param>
    /// <param name="code">The program; the byte behind it begins an exit slot.</param>
    /// <param name="memory">Contents of the data windows, <see cref="Layout.MemorySize"/> bytes, before and after.</param>
    void Execute(ref MachineSnapshot state, ReadOnlySpan<byte> code, Span<byte> memory);
}
