using System.Globalization;
using System.Text;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Execute;

/// <summary>Describes a fault in emitted code.</summary>
internal readonly unsafe ref struct FaultReport(CpuState* state, CodeMemory memory, SiteTable sites, TranslationMap translations)
{
    private const int BytesBefore = 16, BytesBehind = 16;

    /// <summary>gregs by the names of the manual, in the order of <see cref="FaultSlot.Registers"/>.</summary>
    private static readonly string[] RegisterNames =
        ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip", "rflags"];

    /// <param name="fault">The fault.</param>
    /// <param name="cold">Offset of cold code in code memory.</param>
    /// <param name="stubs">Offset of the first translation, behind the stubs.</param>
    public string Write(in FaultSlot fault, uint cold, uint stubs)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"Translated code raised {NameOf(fault.Signal)} (si_code {fault.SignalCode}, trap {fault.Registers[FaultSlot.TrapIndex]}) ");
        text.Append(CultureInfo.InvariantCulture, $"at host address 0x{fault.Address:x}. This is a defect of the translator, whatever the guest did: please report it. ");
        text.Append("CpuEngine.Interpreter runs the guest without translating it. ");
        bool isInside = TryGetOffset(fault.Rip, out uint place);
        text.Append(CultureInfo.InvariantCulture, $"RIP is {Place(isInside, place, fault.Rip)}. ");
        if (!isInside || place < stubs)
        {
            // In a stub, or outside of code memory: the last word on the stack may be the return address of a call in a translation.
            isInside = TryGetOffset(fault.Caller, out place);
            text.Append(CultureInfo.InvariantCulture, $"The last call, which may be long past, was from {Place(isInside, place, fault.Caller)}. ");
        }

        if (isInside)
        {
            AppendBlock(text, place, place >= cold);
            AppendBytes(text, place);
        }

        text.Append("Host registers:");
        for (int i = 0; i < RegisterNames.Length; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $" {RegisterNames[i]}={fault.Registers[i]:x}");
        }

        return text.ToString();
    }

    private static string NameOf(int signal) => signal switch
    {
        4 => "SIGILL",
        5 => "SIGTRAP",
        7 => "SIGBUS",
        8 => "SIGFPE",
        11 => "SIGSEGV",
        _ => $"signal {signal}",
    };

    private static string Place(bool isInside, uint offset, ulong address) =>
        isInside ? $"code memory + 0x{offset:x}" : $"0x{address:x}, outside of code memory";

    private bool TryGetOffset(ulong address, out uint offset)
    {
        ulong distance = address - (ulong)memory.Executable;
        offset = (uint)distance;
        return distance < memory.Size;
    }

    private void AppendBlock(StringBuilder text, uint place, bool isCold)
    {
        if (translations.Find(place, isCold) is not { } translation)
        {
            text.Append("No block was translated to it. ");
            return;
        }

        // SAFETY: blocks stay in memory until all are dropped, and the map's entries with them.
        Block* block = translation.Block;
        ulong rip = state->Hot.PageRip + Page.Offset(block->Physical);
        text.Append(CultureInfo.InvariantCulture, $"Block at guest-physical 0x{block->Physical:x}, RIP 0x{rip:x}, {block->ByteLength} bytes, ");
        text.Append(CultureInfo.InvariantCulture, $"mode {translation.Mode}, flavor {translation.Flavor}, +0x{place - (isCold ? translation.Cold : translation.Hot):x}{(isCold ? " in what seldom runs" : "")}. ");
        if (isCold && FindSite(place, block) is var site && site != null)
        {
            text.Append(CultureInfo.InvariantCulture, $"Guest RIP 0x{rip + Block.Ops(block)[site->OpIndex].Offset:x}. ");
        }
    }

    /// <summary>The site of the next call of a slow path, whose number is in the no-op behind the call.</summary>
    private Site* FindSite(uint place, Block* block)
    {
        const int reach = 256;
        byte* end = memory.Writable + Math.Min(memory.Size - BranchAssembler.AnnotationLength, place + reach);
        for (byte* at = memory.Writable + place; at < end; at++)
        {
            if (BranchAssembler.TryReadAnnotation(at, out int number) && (uint)number < (uint)sites.Count && sites.Sites[number].Block == block)
            {
                return sites.Sites + number;
            }
        }

        return null;
    }

    private void AppendBytes(StringBuilder text, uint place)
    {
        text.Append("Bytes:");
        ulong end = Math.Min(memory.Size, (ulong)place + BytesBehind);
        for (ulong i = place < BytesBefore ? 0 : place - BytesBefore; i < end; i++)
        {
            (string before, string behind) = i == place ? ("[", "]") : ("", "");
            text.Append(CultureInfo.InvariantCulture, $" {before}{memory.Writable[i]:x2}{behind}");
        }

        text.Append(". ");
    }
}
