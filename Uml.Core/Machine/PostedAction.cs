namespace Uml.Core.Machine;

/// <summary>An action for the machine's thread; a value, so that posting one allocates nothing.</summary>
/// <param name="Action">What is done.</param>
/// <param name="Device">The device that posted it, whose detachment drops it; null when the machine did.</param>
internal readonly record struct PostedAction(Action Action, DeviceContext? Device = null)
{
    /// <summary>Does it, unless the device was detached.</summary>
    public void Run()
    {
        if (Device is not { IsDetached: true })
        {
            Action();
        }
    }
}
