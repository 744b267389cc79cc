using System.Buffers;
using System.Text;

namespace Uml.Devices.Acpi;

/// <content>Methods, and what they do (ACPI specification 6.5, 20.2.5).</content>
public sealed partial class AmlWriter
{
    private const byte DualNamePrefix = 0x2E;
    private const byte MultiNamePrefix = 0x2F;
    private const byte OperationRegionOp = 0x80;
    private const byte FieldOp = 0x81;
    private const byte NotifyOp = 0x86;

    /// <summary>Names I/O ports as registers of 32 bits each, which are read and written as such.</summary>
    /// <param name="region">The name of all of them.</param>
    /// <param name="start">The first port.</param>
    /// <param name="registers">Their names, in order.</param>
    internal void PortRegisters(string region, ushort start, params ReadOnlySpan<string> registers)
    {
        const byte SystemIo = 1, DWordAccess = 3, RegisterBits = 32;
        Define(region);
        _bytes.Write<byte>([ExtendedOpPrefix, OperationRegionOp]);
        Path(region);
        _bytes.Write<byte>([SystemIo]);
        Integer(start);
        Integer((ulong)registers.Length * sizeof(uint));
        AmlWriter fields = new();
        fields.Path(region);
        fields._bytes.Write<byte>([DWordAccess]);
        foreach (string register in registers)
        {
            Define(register);
            fields.Path(register);
            fields._bytes.Write<byte>([RegisterBits]);
        }

        Sized([ExtendedOpPrefix, FieldOp], fields);
    }

    /// <summary>Defines a method.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="arguments">How many arguments it takes, 0 to 7.</param>
    /// <param name="content">What it does.</param>
    internal void Method(string name, int arguments, Action<AmlWriter> content)
    {
        Define(name);
        Block([MethodOp], name, method =>
        {
            method._bytes.Write<byte>([(byte)arguments]);
            content(method);
        });
    }

    /// <summary>In a method: calls another one.</summary>
    internal void Call(string method, params ReadOnlySpan<AmlOperand> arguments)
    {
        Reference(method);
        foreach (AmlOperand argument in arguments)
        {
            _bytes.Write(argument.Bytes);
        }
    }

    /// <summary>In a method: writes to a register or a named object.</summary>
    internal void Store(AmlOperand value, string target)
    {
        _bytes.Write<byte>([StoreOp]);
        _bytes.Write(value.Bytes);
        Reference(target);
    }

    /// <summary>In a method: does something if an integer is not zero.</summary>
    internal void If(AmlOperand condition, Action<AmlWriter> content)
    {
        AmlWriter branch = new();
        branch._bytes.Write(condition.Bytes);
        content(branch);
        Sized([IfOp], branch);
    }

    /// <summary>In a method: notifies the guest of something about a device (5.6.6).</summary>
    internal void Notify(string device, AmlOperand value)
    {
        _bytes.Write<byte>([NotifyOp]);
        Reference(device);
        _bytes.Write(value.Bytes);
    }

    /// <summary>Writes the name of what is defined elsewhere: a segment, or segments with dots between them.</summary>
    internal void Reference(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        string root = path.StartsWith('\\') ? path[..1] : "";
        string[] segments = path[root.Length..].Split('.');
        _bytes.Write<byte>(Encoding.ASCII.GetBytes(root));
        _bytes.Write<byte>(segments.Length switch { 1 => [], 2 => [DualNamePrefix], _ => [MultiNamePrefix, (byte)segments.Length] });
        foreach (string segment in segments)
        {
            Path(segment);
        }
    }
}
