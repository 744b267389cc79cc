using Iced.Intel;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;

namespace Uml.Core.Cpu.Interpreter.Integer;

// SAFETY: as in IntegerBinder.cs; only Address is written.
internal static unsafe partial class IntegerBinder
{
    private static Handler BindString(in Instruction i, Op* op)
    {
        if (i.Mnemonic is Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd)
        {
            return null;
        }

        op->Address = StringAddress.SizeOf(in i) switch
        {
            8 => AddressFlags.None,
            4 => AddressFlags.Wrap32,
            _ => AddressFlags.Wrap16,
        };
        return i.MemorySize.GetSize() switch
        {
            1 => BindString<byte>(in i),
            2 => BindString<ushort>(in i),
            4 => BindString<uint>(in i),
            _ => BindString<ulong>(in i),
        };
    }

    private static Handler BindString<T>(in Instruction i) where T : unmanaged, IEquatable<T>
    {
        if (i.HasRepnePrefix)
        {
            return BindString<RepeatNe, T>(i.Mnemonic);
        }

        return i.HasRepPrefix ? BindString<RepeatE, T>(i.Mnemonic) : BindString<Once, T>(i.Mnemonic);
    }

    private static Handler BindString<TRepeat, T>(Mnemonic mnemonic)
        where TRepeat : struct, IRepeat
        where T : unmanaged, IEquatable<T> => mnemonic switch
        {
            Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsd or Mnemonic.Movsq => &StringHandlers<TRepeat, T>.Movs,
            Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd or Mnemonic.Stosq => &StringHandlers<TRepeat, T>.Stos,
            Mnemonic.Lodsb or Mnemonic.Lodsw or Mnemonic.Lodsd or Mnemonic.Lodsq => &StringHandlers<TRepeat, T>.Lods,
            Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq => &StringHandlers<TRepeat, T>.Cmps,
            _ => &StringHandlers<TRepeat, T>.Scas,
        };
}
